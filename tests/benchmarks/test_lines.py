"""Lines are counted as they are meant: what is text, a comment or blank is no code."""

from benchmarks.lines import code_lines, rows

SOURCE = '''"""A docstring
of two lines."""

import ast  # code with a comment

# a comment
NUMBER = (
    1,
)
"""What an attribute is."""


def f():
    """Says."""
    return """text that
    counts"""
'''


def test_docstrings_comments_and_blank_lines_are_no_code():
    assert code_lines(SOURCE) == 1 + 3 + 3
    assert code_lines("") == 0


def test_a_folder_is_the_sum_of_those_in_it():
    (_, *whole), *inner = rows(["bilevel"])
    assert whole == [sum(numbers) for numbers in zip(*(row[1:] for row in inner), strict=True)]
