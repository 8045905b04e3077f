"""What a structure would cost, where no whole file is needed to tell."""

import pytest

from synthdetect.images.structure import check_scans


@pytest.mark.parametrize(
    ("marker", "n_scans", "n_pixels", "ok"),
    [
        (b"\xff\xc2", 100, 12_000_000, True),
        (b"\xff\xc2", 100, 12_000_001, False),
        (b"\xff\xca", 100, 6_000_000, True),
        (b"\xff\xca", 100, 6_000_001, False),
        (b"\xff\xca", 1, 100_000_000, True),
        (b"\xff\xc2", 101, 1, False),
    ],
)
def test_scans_are_bounded_by_what_their_coding_takes(marker, n_scans, n_pixels, ok):
    encoded = b"\xff\xd8" + marker + b"\xff\xda" * n_scans
    if ok:
        check_scans(encoded, n_pixels)
    else:
        with pytest.raises(ValueError, match="JPEG scans"):
            check_scans(encoded, n_pixels)
