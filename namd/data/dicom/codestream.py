"""What a compressed image says of its own size; a decoder believes it, whatever the DICOM header says."""

J2K = b"\xff\x4f\xff\x51"                       # start of a JPEG 2000 codestream and of its SIZ segment
NO_FRAME = {0xC4, 0xC8, 0xCC}                   # JPEG tables and extensions among the markers of a frame
JPEG_LS = 0xF7                                  # marker of a JPEG-LS frame
ALONE = {0xFF, 0x01, *range(0xD0, 0xD9)}        # markers without a segment


def size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 image; None where its first segments do not say.

    Source: ITU-T T.81 B.2.2 and T.87 C.2.2 (frame header), T.800 A.5.1 (SIZ).
    """
    at = frame.find(J2K, 0, 1024)               # some writers wrap it in a file
    if at >= 0:
        x_end, y_end, x_start, y_start = (int.from_bytes(frame[i:i + 4]) for i in range(at + 8, at + 24, 4))
        return y_end - y_start, x_end - x_start
    return _jpeg_size(frame)


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """The same of JPEG and JPEG-LS: from the first frame header among the segments."""
    at = 2                                      # behind the start of the image
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in NO_FRAME):
            return int.from_bytes(frame[at + 5:at + 7]), int.from_bytes(frame[at + 7:at + 9])
        at += 2 + int.from_bytes(frame[at + 2:at + 4])
    return None
