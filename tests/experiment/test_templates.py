"""A template has both texts once each; what joins them, and where they then are."""

import pytest

from peftcli.experiment import templates


@pytest.mark.parametrize(
    ("template", "joined"),
    [
        (templates.OF_DECODERS, "a cat\nthe dog"),
        ("{first}{second}", "a catthe dog"),
        ("{second} because {first}.", "the dog because a cat."),
        ("{{1}} {first} {{2}} {second} {{}}", "{1} a cat {2} the dog {}"),
    ],
)
def test_two_texts_are_joined_as_it_says(template: str, joined: str) -> None:
    parsed = templates.parse(template)
    assert parsed.join("a cat", "the dog") == joined == template.format(first="a cat", second="the dog")
    (first, end), (second, end_of_second) = parsed.ranges("a cat", "the dog")
    assert (joined[first:end], joined[second:end_of_second]) == ("a cat", "the dog")


@pytest.mark.parametrize("text", ["", "{", "{0}", "}{first}"])
def test_texts_are_taken_as_they_are(text: str) -> None:
    parsed = templates.parse("<{second}|{first}>")
    assert parsed.join(text, "{second}") == f"<{{second}}|{text}>"
    (first, end), (second, end_of_second) = parsed.ranges(text, "{second}")
    assert (first, end, second, end_of_second) == (10, 10 + len(text), 1, 9)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("", r"has no \{first\}: a template has \{first\} and \{second\}, once each"),
        ("{first}", r"has no \{second\}"),
        ("{second} {second}", r"has no \{first\}"),
        ("{first} {second} {first}", r"has 2 times \{first\}"),
        (
            "{first} {second} {third}",
            r"has \{third\}: a template has \{first\} and \{second\}, once each, and no other",
        ),
        ("{} {}", r"has \{\}"),
        ("{first[0]} {second}", r"has \{first\[0\]\}"),
        ("{first!r} {second}", "as they are"),
        ("{first:>9} {second}", "as they are"),
        ("{first} {second", r"is no template: .* \(\{\{ and \}\} are braces of the text\)"),
        ("{first}} {second}", "is no template"),
        (r"{first}\n{second}", "a backslash and an n: in double quotes"),
    ],
)
def test_what_is_no_template_is_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        templates.parse(template)
