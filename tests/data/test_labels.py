"""Names of classes, and the table they come from."""

import sys

import pytest

from isozoo.data.labels import imagenet_classes, labels_of, read_labels
from isozoo.errors import DataError

IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def test_imagenet_has_a_thousand_classes_in_the_order_of_their_numbers():
    numbers = list(imagenet_classes())
    assert len(numbers) == 1000
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1]) == ("n01440764", "n15075141")
    assert all(len(number) == 9 and number[1:].isdigit() for number in numbers)


def test_no_two_labels_are_the_same_but_for_capitals():
    labels = list(imagenet_classes().values())
    assert len({label.lower() for label in labels}) == 1000
    assert all(label == label.strip() and "_" not in label for label in labels)


def test_labels_at_known_places():
    """Places that other zoos' documentation names for these classes."""
    labels = list(imagenet_classes().values())
    known = {1: "goldfish", 207: "golden retriever", 281: "tabby", 340: "zebra", 388: "giant panda",
             574: "golf ball", 817: "sports car", 985: "daisy", 999: "toilet tissue"}  # fmt: skip
    assert {place: labels[place] for place in known} == known


def test_words_that_two_classes_share_have_a_hint():
    labels = imagenet_classes()
    assert labels["n02012849"] == "crane (wading bird)"
    assert labels["n03126707"] == "crane (lifting device)"
    assert labels["n02113186"] == "Cardigan (corgi)"


def test_imagenettes_labels_are_those_of_its_authors():
    assert labels_of(IMAGENETTE) == tuple(IMAGENETTE.values())


def test_all_classes_become_words_or_none():
    assert labels_of(["n15075141", "n01440764"]) == ("toilet tissue", "tench")
    for mixed in (["n01440764", "my-dog"], ["n01440764", "n00000001"]):
        assert labels_of(mixed) == tuple(mixed)
    assert labels_of([]) == ()


def test_the_table_carries_the_licence_of_its_source(root):
    text = (root / "isozoo" / "data" / "imagenet_classes.tsv").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University." in text
    assert "provided that you agree to comply with" in text


# Lists of labels


def test_labels_are_read_one_from_each_line(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffÄpfel\r\n\r\n red pear \r\n".encode())
    assert read_labels(path) == ("Äpfel", "red pear")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold one label on each line, found no label"),
        (b"cat\ndog\ncat\n", "found 'cat' more than once"),
        (b"\xff\xfe\x00", "is not a list of labels: it is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_list_of_labels_is_refused(tmp_path, content, message):
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_labels(path)


# The tool that makes the table

NOUNS = """\
  1 This software and database is being provided to you  
  2   
  3 Princeton University  
00000100 05 n 02 crane 0 wader_bird 0 002 @ 00000300 n 0000 #m 00000200 n 0000 | a bird
00000200 06 n 01 Crane 0 001 @ 00000400 n 0000 | lifts | things
00000300 05 n 01 wading_bird 0 000 | wades
00000400 06 n 0a device 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 000 | ten words
"""


def test_the_table_is_made_of_wordnet(root, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "tools"))
    monkeypatch.delitem(sys.modules, "imagenet_classes", raising=False)
    import imagenet_classes as tool

    (tmp_path / "data.noun").write_text(NOUNS)
    (tmp_path / "wnids").write_text("n00000200\nn00000300\nn00000100\n")
    lines = tool.table(tmp_path / "data.noun", tmp_path / "wnids").splitlines()
    assert lines[3:6] == [
        "# This software and database is being provided to you",
        "#",
        "# Princeton University",
    ]
    assert lines[6:] == [
        "n00000100\tcrane (wading bird)",
        "n00000200\tCrane (device)",
        "n00000300\twading bird",
    ]
