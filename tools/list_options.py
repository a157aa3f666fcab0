#!/usr/bin/env python
"""Write the table of all options of the command antideepfake into docs/command_line.md."""

import argparse
from pathlib import Path

from antideepfake.cli.main import VERBS, make_parser
from antideepfake.cli.program import run_program

DOCUMENT = Path(__file__).parents[1] / "docs" / "command_line.md"
START, END = "<!-- table of options -->\n", "\n<!-- end of the table -->"


def verb_parsers() -> dict[str, argparse.ArgumentParser]:
    """Give the parser of each verb."""
    return {verb: find_parser(make_parser(), verb.split()) for verb in VERBS}


def find_parser(parser: argparse.ArgumentParser, words: list[str]) -> argparse.ArgumentParser:
    """Give the parser of a verb, or of a verb of a verb."""
    for word in words:
        choices = next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = choices[word]
    return parser


def describe_options() -> str:
    """Describe every option of every verb in a Markdown table, an option a row.

    Returns
    -------
    str
        Option, meaning, and verbs that have it. An option that means something of its own in a verb, such as what
        ``--output`` is, has a row for each meaning.
    """
    rows: dict[tuple[str, str], list[str]] = {}
    for verb, parser in verb_parsers().items():
        for action in parser._actions:
            if action.option_strings and action.dest != "help":
                rows.setdefault((action.option_strings[-1], action.help or ""), []).append(verb)
    lines = ["| option | meaning | verbs |", "|---|---|---|"]
    for (option, meaning), verbs in sorted(rows.items()):
        lines.append(f"| `{option}` | {meaning} | {', '.join(verbs)} |")
    return "\n".join(lines)


def main() -> int:
    """Replace the table in the document."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{START}{describe_options()}{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_program(main)
