//! The floors of a crate: folders import only from folders below them, which prevents cycles.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::visit::{self, Visit};

/// The folders and files directly in the `src` of each crate, from the top floor down. Those of one
/// floor must not import each other. The crate root may import all of them.
const FLOORS: &[(&str, &[&[&str]])] = &[
    (
        "model/src",
        &[
            &["format", "frames", "panics", "plan"],
            &["error", "media"],
            &["capabilities", "cost", "index", "location", "progress", "remote", "time"],
        ],
    ),
    (
        "engine/src",
        &[
            &["elsewhere", "fuzzing"],
            &["engine"],
            &["process"],
            &["pipeline"],
            &["read"],
            &["options"],
            &["io", "libav", "report"],
        ],
    ),
    (
        "recipes/src",
        &[
            &["draft"],
            &["compile", "read"],
            &["custom"],
            &["job"],
            &["recipe"],
            &["decide"],
            &["words"],
        ],
    ),
    (
        "service/src",
        &[
            &["admin", "api", "door"],
            &["jobs", "webhooks"],
            &["view"],
            &["outputs"],
            &["due"],
            &["service"],
            &["codes", "disk", "metrics", "rates", "roots", "uploads", "workers"],
            &["store"],
            &["model"],
        ],
    ),
];

/// The path of a module, from the crate root.
type Module = Vec<String>;

/// The text of each module of a crate.
type Tree = BTreeMap<Module, String>;

/// The names of its own crate that a module uses.
#[derive(Default)]
struct Names {
    /// Full paths, from the crate root.
    used: Vec<Module>,
    /// What a module re-exports: the exported name, and the full path of the item.
    exported: BTreeMap<String, Module>,
    module: Module,
}

impl Names {
    fn of(module: &Module, text: &str) -> Self {
        let mut names = Self { module: module.clone(), ..Self::default() };
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{module:?}: {error}"));
        names.visit_file(&file);
        names
    }

    /// The full path of a path that begins with `crate`, `self` or `super`; `None` for others.
    fn whole(&self, path: &[String]) -> Option<Module> {
        let mut from = self.module.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => from.clear(),
            "self" => {}
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    from.pop();
                    rest = &rest[1..];
                }
                from.extend(rest.iter().cloned());
                return Some(from);
            }
            _ => return None,
        }
        from.extend(rest[1..].iter().cloned());
        Some(from)
    }

    fn take_use(&mut self, tree: &syn::UseTree, before: &[String], is_exported: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (path, name) = match tree {
            syn::UseTree::Path(path) => {
                return self.take_use(&path.tree, &with(&path.ident), is_exported);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_use(tree, before, is_exported);
                }
                return;
            }
            syn::UseTree::Glob(_) => (before.to_vec(), "*".to_owned()),
            syn::UseTree::Name(name) if name.ident == "self" => {
                (before.to_vec(), before.last().cloned().unwrap_or_default())
            }
            syn::UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
            syn::UseTree::Rename(name) => (with(&name.ident), name.rename.to_string()),
        };
        // A path that begins otherwise may name a module below this one.
        let below = [self.module.as_slice(), &path].concat();
        let whole = self.whole(&path).unwrap_or(below);
        if is_exported {
            self.exported.insert(name, whole.clone());
        }
        self.used.push(whole);
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl Visit<'_> for Names {
    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.take_use(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let words: Vec<_> = path.segments.iter().map(|word| word.ident.to_string()).collect();
        if words.len() > 1 {
            self.used.extend(self.whole(&words));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &syn::Macro) {
        // The tokens of a macro call are not parsed, so each word with `::` is taken for a path.
        let text = item.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|letter: char| !letter.is_alphanumeric() && !"_:".contains(letter)) {
            let words: Vec<_> = word.split("::").map(str::to_owned).collect();
            if words.len() > 1 {
                self.used.extend(self.whole(&words));
            }
        }
        visit::visit_macro(self, item);
    }
}

/// The module that defines what a path names, following at most `steps` re-exports.
fn owner(names: &BTreeMap<Module, Names>, path: &[String], steps: usize) -> Option<Module> {
    let module = (0..=path.len()).rev().map(|length| &path[..length]);
    let module =
        module.filter_map(|path| names.get_key_value(path)).map(|(module, _)| module).next()?;
    let exported = path.get(module.len()).and_then(|name| names[module].exported.get(name));
    match exported {
        Some(exported) if steps > 0 && exported != path => {
            owner(names, &[exported, &path[module.len() + 1..]].concat(), steps - 1)
        }
        _ => Some(module.clone()),
    }
}

/// The imports of a crate's modules that the floors forbid, and the folders on no floor.
fn violations(tree: &Tree, floors: &[&[&str]]) -> Vec<String> {
    const MAX_EXPORTS: usize = 8;
    let floor_of = |folder: &str| floors.iter().position(|floor| floor.contains(&folder));
    let names: BTreeMap<_, _> =
        tree.iter().map(|(module, text)| (module.clone(), Names::of(module, text))).collect();
    let mut found = BTreeSet::new();
    for (module, own) in &names {
        // The crate root may import everything.
        let Some(folder) = module.first() else { continue };
        let Some(floor) = floor_of(folder) else {
            found.insert(format!("{folder} stands on no floor"));
            continue;
        };
        for path in &own.used {
            let Some(target) = owner(&names, path, MAX_EXPORTS) else { continue };
            let Some(other) = target.first().filter(|other| *other != folder) else { continue };
            if floor_of(other).is_some_and(|other| other <= floor) {
                found.insert(format!("{} imports {}", module.join("::"), target.join("::")));
            }
        }
    }
    found.into_iter().collect()
}

/// Reads the modules below a folder.
fn read(folder: &Path, module: &Module, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut child = module.clone();
        if path.is_dir() {
            child.push(stem);
            read(&path, &child, tree);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            if !["lib", "main", "mod"].contains(&stem.as_str()) {
                child.push(stem);
            }
            tree.insert(child, fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn folders_import_downward_only() {
    for (source, floors) in FLOORS {
        let mut tree = Tree::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(source);
        read(&root, &Module::new(), &mut tree);
        assert!(tree.len() > 20, "{source}: {} modules", tree.len());
        let found = violations(&tree, floors);
        assert!(found.is_empty(), "{source}:\n  {}", found.join("\n  "));
    }
}

/// Checks a made crate with two floors: `roof`, and below it `cellar` and `shed`.
fn check_made(texts: &[(&str, &str)], expected: &[&str]) {
    let module = |name: &str| -> Module {
        name.split("::").filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let usual = ["", "roof", "cellar", "shed"].map(|name| (name, ""));
    let texts = usual.iter().chain(texts);
    let tree = texts.map(|(name, text)| (module(name), (*text).to_owned())).collect();
    let met = violations(&tree, &[&["roof"], &["cellar", "shed"]]);
    assert_eq!(met, expected, "{tree:?}");
}

#[test]
fn upward_arrows_are_found_in_every_form() {
    let up = &["cellar imports roof"];
    check_made(&[("roof", "use crate::cellar::Wine; fn a(_: crate::shed::Tool) {}")], &[]);
    check_made(&[("cellar", "use crate::roof::Tile;")], up);
    check_made(&[("cellar", "use super::roof::{self, Tile};")], up);
    check_made(
        &[("cellar", "use crate::{roof as above, shed};")],
        &["cellar imports roof", "cellar imports shed"],
    );
    check_made(&[("cellar", "fn a() { crate::roof::leak() }")], up);
    check_made(&[("cellar", "fn a() { println!(\"{}\", crate::roof::LEAKS) }")], up);
    check_made(&[("cellar", "impl super::roof::Keeps for A {}")], up);
    check_made(
        &[("cellar::deep", "use super::super::roof::Tile;")],
        &["cellar::deep imports roof"],
    );
    check_made(&[("cellar::deep", "use super::Wine; use self::lower::Well;")], &[]);
    check_made(&[("cellar", "#[cfg(test)] mod tests { use crate::roof::Tile; }")], &[]);
    check_made(&[("attic", "")], &["attic stands on no floor"]);
}

#[test]
fn arrows_are_found_behind_exports() {
    let exports = ("", "pub use roof::Tile; pub use cellar::Wine;");
    check_made(&[exports, ("cellar", "use crate::Tile;")], &["cellar imports roof"]);
    check_made(&[exports, ("roof", "use crate::Wine;")], &[]);
    check_made(
        &[
            ("roof", "pub(crate) use deep::Tile;"),
            ("roof::deep", ""),
            ("shed", "use crate::roof::Tile;"),
        ],
        &["shed imports roof::deep"],
    );
}
