"""What is linked into the program: the licences with their texts, and a software bill of materials."""

import csv
import hashlib
import json
import subprocess
import uuid
from pathlib import Path

TABLE = Path(__file__).with_name("libraries.tsv")
COLUMNS = ("name", "suite", "package", "version", "hash", "flavour", "licence", "why")
REPOSITORY = "https://github.com/avocet-media/avocet"
# The whole: x264 and x265 are GPL-2.0-or-later, and ring, whose licence is Apache-2.0, is compatible
# with version 3 of the GPL only.
LICENCES = {"gpl": "GPL-3.0-or-later", "lgpl": "LGPL-2.1-or-later AND Apache-2.0 AND MIT"}


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def libraries(flavour, architecture):
    """The rows of the table for a flavour; those from archives of Debian with their installed version."""
    with TABLE.open() as lines:
        rows = csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t")
        found = [dict(zip(COLUMNS, row)) for row in rows]
    found = [row for row in found[1:] if row["flavour"] in ("both", flavour)]
    for row in found:
        row["is_archive"] = row["hash"] == "-"
        if row["is_archive"]:
            row["dev_package"] = row["package"]
            shown = "${Version} ${source:Package} ${source:Version}"
            told = run("dpkg-query", "--show", "--showformat", shown, f"{row['package']}:{architecture}")
            row["version"], row["package"], row["source_version"] = told.split()
        else:
            row["source_version"] = row["version"]
    return found


def crates(target):
    """The crates of the program, by name and version; tools and tests that are not linked left out."""
    metadata = json.loads(
        run("cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", target)
    )
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    todo = [package["id"] for package in metadata["packages"] if package["name"] == "avocet-cli"]
    seen = set(todo)
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_linked and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                todo.append(dependency["pkg"])
    return sorted((packages[id] for id in seen), key=lambda package: (package["name"], package["version"]))


def licence_files(crate):
    folder = Path(crate["manifest_path"]).parent
    names = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT")
    return sorted(
        file for file in folder.iterdir() if file.is_file() and file.name.upper().startswith(names)
    )


def texts(flavour, architecture, target, prefix):
    """One text with the licences of everything that is linked: equal ones once."""
    parts = {}

    def add(what, text):
        parts.setdefault(text.strip(), []).append(what)

    for row in libraries(flavour, architecture):
        file = prefix / "licences" / row["name"]
        if row["is_archive"]:
            file = Path("/usr/share/doc") / row["dev_package"] / "copyright"
        add(f"{row['name']} {row['source_version']} ({row['licence']})", file.read_text(errors="replace"))
    for crate in crates(target):
        if crate["source"] is None:
            continue
        name = f"{crate['name']} {crate['version']} ({crate['license'] or 'see below'})"
        found = licence_files(crate)
        for file in found:
            add(name, file.read_text(errors="replace"))
        if not found:
            authors = ", ".join(crate["authors"]) or "its authors"
            add(name, f"Copyright of {authors}; the licence is named above, and the package has no text of it.")
    rule = "=" * 96
    return "\n\n".join(
        f"{rule}\n" + "\n".join(sorted(set(names))) + f"\n{rule}\n\n{text}" for text, names in parts.items()
    ) + "\n"


def copyright_of(flavour, architecture, version, configure):
    """What whoever installs the program should know of licences and sources, in Debian's words for it."""
    rows = libraries(flavour, architecture)
    lines = [
        f"Avocet {version}, the program with its libraries linked into it.",
        "",
        f"License of the whole: {LICENCES[flavour]}",
        f"Avocet's own code is MIT OR Apache-2.0: {REPOSITORY}",
        "The licences of everything that is linked are in third-party.txt, a list for machines is in",
        "sbom.cdx.json.",
        "",
        "Where the sources of the libraries are: in the archive of Debian, https://deb.debian.org/debian,",
        "and for earlier versions https://snapshot.debian.org, as source packages:",
        "",
    ]
    for package, source in sorted({(row["package"], row["source_version"]) for row in rows}):
        lines.append(f"    {package} {source}")
    lines += [
        "",
        "scripts/dist of Avocet's sources fetches them and builds this program again. FFmpeg was",
        "configured with",
        "",
    ]
    lines += [f"    {option}" for option in configure.split("\n") if option]
    return "\n".join(lines) + "\n"


def bill(flavour, architecture, target, version, time):
    """A software bill of materials: CycloneDX 1.5, https://cyclonedx.org/docs/1.5/json."""
    components = []
    for row in libraries(flavour, architecture):
        components.append({
            "type": "library",
            "name": row["name"],
            "version": row["source_version"],
            "licenses": [{"expression": row["licence"]}],
            "description": row["why"],
            "purl": f"pkg:deb/debian/{row['package']}@{row['source_version'].replace('+', '%2B')}?arch=source",
        })
    for crate in crates(target):
        if crate["source"] is None:
            continue
        component = {
            "type": "library",
            "name": crate["name"],
            "version": crate["version"],
            "purl": f"pkg:cargo/{crate['name']}@{crate['version'].replace('+', '%2B')}",
        }
        if crate["license"]:
            component["licenses"] = [{"expression": crate["license"].replace("/", " OR ")}]
        components.append(component)
    # The serial number follows from the content, so that two builds have the same one.
    content = json.dumps([version, flavour, architecture, components], sort_keys=True)
    serial = uuid.UUID(bytes=hashlib.sha256(content.encode()).digest()[:16], version=4)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "component": {
                "type": "application",
                "name": "avocet",
                "version": version,
                "licenses": [{"expression": LICENCES[flavour]}],
            },
        },
        "components": components,
    }
    return json.dumps(document, indent=2) + "\n"
