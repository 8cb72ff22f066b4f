"""Does jobs with PyAV, one for each line of JSON on standard input, and answers with seconds."""

import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy
from PIL import Image  # noqa: F401  to_image() needs it

prepared = {}


def shown_at(container, stream, seconds, first=False):
    """The frame on screen at a time, or the first one that is decoded there."""
    target = int(seconds / stream.time_base) + (stream.start_time or 0)
    container.seek(target, stream=stream)
    shown = None
    for frame in container.decode(stream):
        if shown is not None and frame.pts > target:
            break
        shown = frame
        if first:
            break
    return shown


def picture(order):
    """The frame on screen at a time, as a JPEG."""
    with av.open(order["input"]) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if order["keyframe"]:
            stream.codec_context.skip_frame = "NONKEY"
        shown = shown_at(container, stream, order["at"], order["keyframe"])
        shown.to_image().save(order["output"], quality=90)


def remux(order):
    """Video and audio, copied into an MP4 with its index in front."""
    options = {"movflags": "+faststart"}
    with av.open(order["input"]) as source, av.open(order["output"], "w", options=options) as target:
        kept = [stream for stream in source.streams if stream.type in ("video", "audio")]
        made = {stream.index: target.add_stream_from_template(stream) for stream in kept}
        for packet in source.demux(kept):
            if packet.dts is not None:
                packet.stream = made[packet.stream.index]
                target.mux(packet)


def open_decoder(codec, extradata):
    decoder = av.CodecContext.create(codec, "r")
    decoder.extradata = extradata
    decoder.thread_type = "AUTO"
    decoder.open()
    return decoder


def read_packets(order):
    """The packets from the keyframe before a time up to that time, read before the clock starts."""
    key = (order["input"], order["at"])
    if key not in prepared:
        with av.open(order["input"]) as container:
            stream = container.streams.video[0]
            target = int(order["at"] / stream.time_base) + (stream.start_time or 0)
            container.seek(target, stream=stream)
            packets = []
            for packet in container.demux(stream):
                if packet.dts is None:
                    break
                packets.append(packet)
                if packet.dts > target:
                    break
            context = stream.codec_context
            prepared[key] = (packets, target, context.name, context.extradata)
    return prepared[key]


def decode_encode(order):
    """Decoder and encoder alone; answers with the seconds that they took."""
    packets, target, codec, extradata = read_packets(order)
    decoder = open_decoder(codec, extradata)
    begin = time.perf_counter()
    shown, is_found = None, False
    for packet in [*packets, None]:
        for frame in decoder.decode(packet):
            if shown is None or frame.pts <= target:
                shown = frame
            is_found = is_found or frame.pts >= target
        if is_found:
            break
    shown = shown.reformat(format="yuvj420p")
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = shown.width, shown.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "3", "qmax": "3"}
    shown.pts = 0
    encoded = sum(packet.size for packet in [*encoder.encode(shown), *encoder.encode(None)])
    seconds = time.perf_counter() - begin
    if encoded == 0:
        raise ValueError("the encoder made nothing")
    return seconds


def decode_keys(order):
    """The decoder alone, on the keyframes before evenly spaced times; answers with its seconds."""
    key = (order["input"], order["count"])
    if key not in prepared:
        with av.open(order["input"]) as container:
            stream = container.streams.video[0]
            step = stream.duration / order["count"]
            packets = []
            for number in range(order["count"]):
                target = int((number + 0.5) * step) + (stream.start_time or 0)
                container.seek(target, stream=stream)
                packets.append(next(container.demux(stream)))
            context = stream.codec_context
            prepared[key] = (packets, context.name, context.extradata)
    packets, codec, extradata = prepared[key]
    decoder = open_decoder(codec, extradata)
    begin = time.perf_counter()
    frames = 0
    for packet in [*packets, None]:
        frames += len(decoder.decode(packet))
    seconds = time.perf_counter() - begin
    if frames == 0:
        raise ValueError("the decoder made nothing")
    return seconds


def times_of(order, number):
    return order["timesOfEach"][number] if "timesOfEach" in order else order["times"]


def frames_by_av(order, number):
    """Pictures of a clip as arrays, by PyAV."""
    size = order["size"]
    shape = {} if size is None else {"width": size[0], "height": size[1]}
    made = []
    with av.open(order["clips"][number]) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        times = times_of(order, number)
        if not times:
            for frame in container.decode(stream):
                made.append(frame.reformat(format="rgb24", **shape).to_ndarray())
                if len(made) == order["first"]:
                    break
            return made
        for seconds in times:
            shown = shown_at(container, stream, seconds)
            made.append(shown.reformat(format="rgb24", **shape).to_ndarray())
    return made


def frames_by_torchcodec(order, number):
    """Pictures of a clip as tensors, by torchcodec."""
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    options = {}
    if order["by"] == "approximate":
        options = {"seek_mode": "approximate", "num_ffmpeg_threads": 0}
    if order["size"] is not None:
        options["transforms"] = [Resize((order["size"][1], order["size"][0]))]
    decoder = VideoDecoder(order["clips"][number], **options)
    times = times_of(order, number)
    if times:
        return decoder.get_frames_played_at(times).data
    return decoder.get_frames_in_range(0, order["first"]).data


def frames(order):
    """Pictures of clips in memory, of so many clips at once."""
    by = frames_by_av if order["by"] == "av" else frames_by_torchcodec
    wanted = range(len(order["clips"]))
    if order["atOnce"] == 1:
        found = [by(order, number) for number in wanted]
    else:
        with ThreadPoolExecutor(order["atOnce"]) as pool:
            found = list(pool.map(lambda number: by(order, number), wanted))
    for number, made in enumerate(found):
        if len(made) != (len(times_of(order, number)) or order["first"]):
            raise ValueError("less than all pictures came")


def sound(order):
    """All sound at 16 kHz in one channel, as 32-bit floating point."""
    path = order["clips"][0]
    if order["by"] == "av":
        with av.open(path) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=16000)
            made = []
            for frame in container.decode(audio=0):
                made.extend(part.to_ndarray()[0] for part in resampler.resample(frame))
            made.extend(part.to_ndarray()[0] for part in resampler.resample(None))
        samples = numpy.concatenate(made)
    else:
        from torchcodec.decoders import AudioDecoder

        samples = AudioDecoder(path, sample_rate=16000, num_channels=1).get_all_samples().data[0]
    if len(samples) < 16000:
        raise ValueError("less than all sound came")


JOBS = {
    "frames": frames,
    "sound": sound,
    "picture": picture,
    "remux": remux,
    "decodeEncode": decode_encode,
    "decodeKeys": decode_keys,
}


def account(path, name):
    """A number of the kernel's accounts; None where it is not told."""
    try:
        with open(path) as accounts:
            return next((float(line.split()[1]) for line in accounts if line.startswith(name)), None)
    except OSError:
        return None


def bytes_read():
    return account("/proc/self/io", "rchar:")


def peak_memory():
    """Of this program alone: `ru_maxrss` counts what started it, too."""
    kibibytes = account("/proc/self/status", "VmHWM:")
    return None if kibibytes is None else kibibytes * 1024


def answer(order):
    read = bytes_read()
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    begin = time.perf_counter()
    seconds = JOBS[order["job"]](order)
    whole = time.perf_counter() - begin
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime - user
    alone = seconds is not None
    return {
        "wall": seconds if alone else whole,
        "user": None if alone else user,
        "peak": None if alone else peak_memory(),
        "read": None if alone or read is None else bytes_read() - read,
    }


def main():
    libav = av.ffmpeg_version_info
    print(json.dumps({"version": av.__version__, "libav": libav}), flush=True)
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)


main()
