#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/exif: small pictures with EXIF as cameras and phones write it, and expected.txt with what Pillow
reads of each, as the fields that ilk keeps; and tests/fuzz/corpus/pictures_exif, the same EXIF alone and broken in places.

  make_exif_files.py            needs Pillow
"""
import calendar
import io
import os
import struct

from PIL import Image
from PIL.ExifTags import GPSTAGS, TAGS
from PIL.TiffImagePlugin import IFDRational

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(TREE, "tests", "fixtures", "exif")
CORPUS = os.path.join(TREE, "tests", "fuzz", "corpus", "pictures_exif")
TAG = {name: number for number, name in TAGS.items()}
GPS = {name: number for number, name in GPSTAGS.items()}


def rational(x, by=1000000):
    return IFDRational(round(x * by), by)


def place(latitude, longitude, altitude=None, below=0):
    def dms(x):
        x = abs(x)
        return (rational(int(x), 1), rational(int(x * 60) % 60, 1), rational(x * 3600 % 60))
    ifd = {GPS["GPSLatitudeRef"]: "N" if latitude >= 0 else "S", GPS["GPSLatitude"]: dms(latitude),
           GPS["GPSLongitudeRef"]: "E" if longitude >= 0 else "W", GPS["GPSLongitude"]: dms(longitude)}
    if altitude is not None:
        ifd[GPS["GPSAltitudeRef"]] = bytes([below])
        ifd[GPS["GPSAltitude"]] = rational(altitude, 100)
    return ifd


def exif(big=False, first=(), camera=(), where=None):
    e = Image.Exif()
    e.endian = ">" if big else "<"
    for name, value in dict(first).items():
        e[TAG[name]] = value
    for name, value in dict(camera).items():
        e.get_ifd(0x8769)[TAG[name]] = value
    for number, value in (where or {}).items():
        e.get_ifd(0x8825)[number] = value
    return e


CANON = dict(first={"Make": "Canon", "Model": "Canon EOS R5", "Orientation": 6, "DateTime": "2025:01:01 00:00:00"},
             camera={"DateTimeOriginal": "2024:05:01 10:20:30", "OffsetTimeOriginal": "+02:00",
                     "DateTimeDigitized": "2024:05:01 10:20:31", "LensModel": "RF24-70mm F2.8 L IS USM"},
             where=place(-33.8567844, 151.2152967, 12.5))
CASES = {
    "jpeg-camera.jpg": CANON,
    "webp-camera.webp": CANON,
    "png-camera.png": CANON,
    "tiff-camera.tif": dict(first={"Make": "NIKON CORPORATION", "Model": "NIKON Z 6_2", "DateTime": "1999:12:31 23:59:59"}),
    "jpeg-big.jpg": dict(CANON, big=True),
    "jpeg-phone.jpg": dict(first={"Make": "Apple  ", "Model": "iPhone 15 Pro"},
                           camera={"DateTimeOriginal": "2023:02:28 23:00:00", "OffsetTimeOriginal": "-11:30"},
                           where=place(64.1466, -21.9426, 3.25, 1)),
    "jpeg-no-zone.jpg": dict(camera={"DateTimeDigitized": "2000:02:29 12:00:00"}),
    "jpeg-clock-unset.jpg": dict(first={"Model": "Camera", "DateTime": "0000:00:00 00:00:00"},
                                 camera={"DateTimeOriginal": "    :  :     :  :  "}),
    "jpeg-half-place.jpg": dict(where={GPS["GPSLatitudeRef"]: "N", GPS["GPSLatitude"]: (1.0, 2.0, 3.0)}),
    "jpeg-far-place.jpg": dict(where=place(90.5, 10)),
    "jpeg-empty.jpg": dict(first={"Orientation": 1}),
}


def picture(name, e):
    im = Image.new("RGB", (19, 11))
    im.putdata([(x * 13 % 256, y * 23 % 256, (x + y) * 7 % 256) for y in range(11) for x in range(19)])
    kind = {"jpg": "JPEG", "webp": "WEBP", "png": "PNG", "tif": "TIFF"}[name.rsplit(".", 1)[1]]
    out = io.BytesIO()
    im.save(out, kind, exif=e, **({"quality": 90} if kind == "JPEG" else {}))
    return out.getvalue()


def seconds(text, zone):
    try:
        date, clock = text.strip("\0").split(" ")
        numbers = [int(x) for x in date.split(":") + clock.split(":")]
        if numbers[0] < 1 or not 1 <= numbers[1] <= 12 or numbers[2] < 1:
            return None
        offset = (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60) * (-1 if zone[0] == "-" else 1) if zone else 0
        return calendar.timegm(tuple(numbers) + (0, 0, 0)) - offset
    except ValueError:
        return None


def fields(data):
    """What Pillow reads, by ilk's names."""
    e = Image.open(io.BytesIO(data)).getexif()
    camera, where, out = e.get_ifd(0x8769), e.get_ifd(0x8825), {}
    for text, zone in ((camera.get(TAG["DateTimeOriginal"]), camera.get(TAG["OffsetTimeOriginal"])),
                       (camera.get(TAG["DateTimeDigitized"]), camera.get(TAG["OffsetTimeDigitized"])),
                       (e.get(TAG["DateTime"]), camera.get(TAG["OffsetTime"]))):
        s = seconds(text, zone) if text else None
        if s is not None:
            out["taken"] = s * 1000000
            break
    for name, text in (("camera_make", e.get(TAG["Make"])), ("camera_model", e.get(TAG["Model"])),
                       ("lens", camera.get(TAG["LensModel"]))):
        if text:
            out[name] = text.strip()
    if 2 in where and 4 in where:
        for name, at, negative in (("latitude", 1, "S"), ("longitude", 3, "W")):
            d, m, s = (float(x) for x in where[at + 1])
            out[name] = (d + m / 60 + s / 3600) * (-1 if where[at] == negative else 1)
        if 6 in where:
            out["altitude"] = float(where[6]) * (-1 if where.get(5) == b"\1" else 1)
        if abs(out["latitude"]) > 90 or abs(out["longitude"]) > 180:
            for name in ("latitude", "longitude", "altitude"):
                out.pop(name, None)
    return out


def main():
    os.makedirs(OUT, exist_ok=True)
    os.makedirs(CORPUS, exist_ok=True)
    lines = []
    for name, case in CASES.items():
        e = exif(**case)
        data = picture(name, e)
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)
        for key, value in fields(data).items():
            lines.append("%s\t%s\t%s\n" % (name, key, repr(value) if isinstance(value, float) else value))
        if not fields(data):
            lines.append("%s\t-\t-\n" % name)
        raw = e.tobytes()[6:] if e.tobytes().startswith(b"Exif\0\0") else e.tobytes()
        if case is not CANON or name == "jpeg-camera.jpg":
            with open(os.path.join(CORPUS, name.rsplit(".", 1)[0]), "wb") as f:
                f.write(raw)
    with open(os.path.join(OUT, "expected.txt"), "w") as f:
        f.writelines(lines)
    raw = exif(**CANON).tobytes()
    raw = raw[6:] if raw.startswith(b"Exif\0\0") else raw
    entry = struct.pack
    odd = {
        "cut": raw[: len(raw) // 2],
        "cut-in-entry": raw[:20],
        "many-entries": raw[:8] + b"\xff\xff" + raw[10:],
        "own-directory": b"II*\0\x08\0\0\0\x02\0" + entry("<HHII", 0x8769, 4, 1, 8) + entry("<HHII", 0x8825, 4, 1, 8) + b"\0" * 4,
        "past-the-end": b"II*\0\x08\0\0\0\x01\0" + entry("<HHII", 0x10F, 2, 0xFFFFFFFF, 0xFFFFFFF0) + b"\0" * 4,
        "at-the-end": b"II*\0\x08\0\0\0\x01\0" + entry("<HHII", 0x10F, 2, 5, 26) + b"Nikon",
        "no-denominator": b"II*\0\x08\0\0\0\x01\0" + entry("<HHII", 0x8825, 4, 1, 26) + b"\x04\0" +
                          entry("<HHII", 1, 2, 2, 0x4E) + entry("<HHII", 2, 5, 3, 80) +
                          entry("<HHII", 3, 2, 2, 0x45) + entry("<HHII", 4, 5, 3, 80) + entry("<6I", 1, 1, 0, 0, 5, 0),
    }
    for name, data in odd.items():
        with open(os.path.join(CORPUS, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
