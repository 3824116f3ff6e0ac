#!/usr/bin/env python3
"""No two headers may define a type of the same qualified name.

Two such types in one program break it silently: the linker keeps one of their inline functions, and objects of the other
are built and destroyed as if they were it. Compilers see one source at a time and say nothing.

Reads our own code's style: namespaces open and close in column 0 with a closing comment, types at namespace level begin
in column 0. Prints every name with its headers and exits with 1 if there is one.
"""

import collections
import pathlib
import re
import subprocess
import sys

NAMESPACE = re.compile(r"^namespace\s*([\w:]*)\s*\{")
END = re.compile(r"^\}\s*//\s*namespace")
# A definition opens a brace on its line, or begins on it and goes on; a declaration ends with ';'.
TYPE = re.compile(r"^(?:struct|class|enum class|union)\s+(?:\[\[\w+\]\]\s*)?(\w+)\b(?:[^;]*\{.*|[^;]*)$")
COMMENT = re.compile(r"\s*//.*$")


def types_of(header):
    """Qualified names of the types that a header defines at namespace level."""
    names, open_namespaces = set(), []
    for line in header.read_text().splitlines():
        if opened := NAMESPACE.match(line):
            open_namespaces.append(opened.group(1))
        elif END.match(line) and open_namespaces:
            open_namespaces.pop()
        elif defined := TYPE.match(COMMENT.sub("", line)):
            names.add("::".join(open_namespaces + [defined.group(1)]))
    return names


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    # Not tests: each is a program of its own, and they like short names.
    listed = subprocess.run(["git", "ls-files", "*.h"], cwd=root, capture_output=True, text=True, check=True).stdout
    where = collections.defaultdict(list)
    for name in listed.splitlines():
        if name.startswith("tests/"):
            continue
        for type_name in types_of(root / name):
            where[type_name].append(name)
    doubles = {name: headers for name, headers in where.items() if len(headers) > 1}
    for name, headers in sorted(doubles.items()):
        print(f"{name} is defined in {', '.join(headers)}: rename one of them")
    return 1 if doubles else 0


if __name__ == "__main__":
    sys.exit(main())
