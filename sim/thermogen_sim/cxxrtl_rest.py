"""Lets the cores of a compiled design rest: what can only repeat itself is not evaluated.

Most of a design waits most of the time: a divider for its next quotient, the leaf recorder for its second. CXXRTL evaluates all of it on
every clock. Here the statements that compute a core's registers and memory writes, with everything that only they need, are gathered into a
region at the end of the evaluation. After a region has been evaluated without changing a register or writing a memory it rests: it is
passed over for as long as all that it reads from outside stands still. Its registers keep their values meanwhile, so nothing else can tell.

Reading is noticed by value. What a region reads of another region's registers is not even compared while that one has not moved since.
A counter that counts on every clock never rests; what it and its readers of the same core need makes a region of its own.

A core is what has a name of its own in the hierarchy: the registers `p_a_2e_b_2e_x` and `p_a_2e_b_2e_y` are of core `a.b`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

_EVAL = re.compile(r"^bool \w+::eval\(performer \*performer\) \{\n(.*?)^\treturn converged;\n\}\n", re.MULTILINE | re.DOTALL)
_DECLARATION = re.compile(r"^\tvalue<\d+> (\w+);$")
_NAME = re.compile(r"\b(?:(?:curr|next)\.)?[A-Za-z_]\w*")
_ASSIGNMENT = re.compile(r"^\s*([^=]*?[\w)>]) = ", re.MULTILINE)
_COUNTER = re.compile(
    r"next\.(\w+) = \(p_rst \? value<\d+>\{[^}]*\} : add_uu<\d+>\(curr\.\1, value<1>\{0x1u\}\)(?:\.slice<[\d,]+>\(\)\.val\(\))?\);"
)
_RESTLESS = " counting"
_WRITE = "if (mask_) "
_WRITE_SEEN = "if (mask_) moved = true, "
LEAST_CHARACTERS = 1_500
"""Smaller regions cost more to watch than to evaluate."""


_FEW, _MOST_REGIONS = 3, 64


@dataclass
class _Statement:
    text: str
    defines: frozenset[str]
    uses: frozenset[str]
    memories: frozenset[str]


@dataclass
class _Region:
    core: str
    statements: list[_Statement] = field(default_factory=list)

    @property
    def registers(self) -> list[str]:
        return sorted({name.removeprefix("next.") for each in self.statements for name in each.defines if name.startswith("next.")})

    def inputs(self, known: set[str]) -> list[str]:
        """What it reads and does not make itself."""
        made = {name for each in self.statements for name in each.defines}
        own = {f"curr.{name}" for name in self.registers}
        read = {name for each in self.statements for name in each.uses}
        return sorted(name for name in read - made - own if name.startswith("curr.") or name in known)


def let_rest(header: str, source: str) -> tuple[str, str]:
    """The header and source of one design, whose registers are in `curr` and `next`, with regions that rest."""
    found = _EVAL.search(source)
    if found is None:
        return header, source
    lines = found[1].split("\n")
    widths = {match[1]: line for line in lines if (match := _DECLARATION.match(line))}
    statements = _statements([line for line in lines if line.strip() and not _DECLARATION.match(line)])
    regions, others = _regions(statements, set(widths))
    ports = set(re.findall(r"^\t/\*(?:input|output)\*/ value<\d+> (\w+);$", header, re.MULTILINE))
    known = set(widths) | ports
    body = [*widths.values(), *(each.text for each in others)]
    home = {f"curr.{name}": number for number, region in enumerate(regions) for name in region.registers}
    declared = []
    for number, region in enumerate(regions):
        inputs = region.inputs(known)
        declared.append(_declaration(number, inputs, widths, header))
        body.append(f"\trest{number}.version += rest{number}.moved; rest{number}.moved = false;")
    for number, region in enumerate(regions):
        body.append(_evaluation(number, region, region.inputs(known), home))
    text = "\n".join(body)
    source = source[: found.start(1)] + text + "\n" + source[found.end(1) :]
    marker = "\tState curr, next;\n"
    return header.replace(marker, marker + "".join(declared), 1), source


def _statements(lines: list[str]) -> list[_Statement]:
    """Whole statements; a memory access is of several lines."""
    made, part, depth = [], [], 0
    for line in lines:
        if line.lstrip().startswith("//"):
            continue
        part.append(line)
        depth += line.count("{") - line.count("}")
        text = "\n".join(part)
        pending = re.match(r"\tauto tmp_", text) and not re.search(r"^\t\}$", text, re.MULTILINE)
        if depth == 0 and not pending:
            made.append(_statement(text))
            part = []
    return made


def _statement(text: str) -> _Statement:
    defines: set[str] = set()
    for left in _ASSIGNMENT.findall(text):
        if not left.lstrip().startswith(("auto ", "const auto ", "value<1> tmp", "bool ")):
            defines |= {name for name in _NAME.findall(left) if name.startswith(("next.", "p_", "i_"))}
    uses = set(_NAME.findall(text))
    return _Statement(text, frozenset(defines), frozenset(uses - defines), frozenset(name for name in uses if name.startswith("memory_p_")))


def _core(name: str) -> str:
    """The hierarchy above a register or memory."""
    return name.rpartition("_2e_")[0] if "_2e_" in name else ""


def _regions(statements: list[_Statement], local: set[str]) -> tuple[list[_Region], list[_Statement]]:
    owner = _owners(statements, local)
    gathered: dict[str, _Region] = {}
    for each, core in zip(statements, owner, strict=True):
        if core:
            gathered.setdefault(core, _Region(core)).statements.append(each)
    large = {core for core, region in gathered.items() if sum(len(each.text) for each in region.statements) >= LEAST_CHARACTERS}
    others = [each for each, core in zip(statements, owner, strict=True) if core not in large]
    return [gathered[core] for core in sorted(large)], others


def _owners(statements: list[_Statement], local: set[str]) -> list[str]:
    """Each statement's core; empty where more than one needs it. Statements come after what they use, so the last ones are asked first."""
    restless = _restless(statements)
    outside: set[str] = set()
    while True:
        users: dict[str, set[str]] = defaultdict(set)
        makers: dict[str, set[str]] = defaultdict(set)
        owners: list[str] = []
        for each in reversed(statements):
            core = "" if each.defines & outside else _owner(each, users, local)
            if core and not each.defines & local and each.uses & restless:
                core += _RESTLESS
            owners.append(core)
            for name in each.uses:
                users[name].add(core)
            for name in each.defines:
                makers[name].add(core)
        # A value of several slices is made in one place or not at all in a region.
        divided = {name for name, cores in makers.items() if len(cores) > 1}
        if not divided:
            return owners[::-1]
        outside |= divided


def _restless(statements: list[_Statement]) -> set[str]:
    """The registers that count on every clock, and what is made of them before a register."""
    found = {f"curr.{match[1]}" for each in statements if (match := _COUNTER.search(each.text))}
    for each in statements:
        if each.uses & found:
            found |= {name for name in each.defines if not name.startswith("next.")}
    return found


def _owner(statement: _Statement, users: dict[str, set[str]], local: set[str]) -> str:
    """The core whose region the statement belongs to; empty for none."""
    if statement.defines & local:
        if statement.memories or not statement.defines <= local:
            return ""
        wanted = set().union(*(users[name] for name in statement.defines))
        return wanted.pop() if len(wanted) == 1 else ""
    registers = {name.removeprefix("next.") for name in statement.defines if name.startswith("next.")}
    cores = {_core(name) for name in registers} | {_core(name.removeprefix("memory_")) for name in statement.memories}
    if len(cores) != 1 or not (registers or statement.memories):
        return ""
    return cores.pop()


def _declaration(number: int, inputs: list[str], widths: dict[str, str], header: str) -> str:
    fields = []
    for at, name in enumerate(inputs):
        plain = name.removeprefix("curr.")
        found = re.search(rf"value<(\d+)> {plain};", widths.get(plain, "") or header)
        if found is None:
            raise KeyError(plain)
        fields.append(f" value<{found[1]}> i{at};")
    return (
        f"\tstruct Rest{number} {{ bool still = false, moved = false; unsigned version = 0, seen[{_MOST_REGIONS}] = {{}};"
        f"{''.join(fields)} }} rest{number};\n"
    )


def _evaluation(number: int, region: _Region, inputs: list[str], home: dict[str, int]) -> str:
    rest = f"rest{number}"
    groups: dict[int, list[str]] = defaultdict(list)
    for at, name in enumerate(inputs):
        groups[home.get(name, -1)].append(f"{rest}.i{at} == {name}")
    conditions = [f"{rest}.still"]
    seen = []
    for source, equal in sorted(groups.items(), key=lambda item: item[0] < 0):
        if source < 0 or len(equal) < _FEW:
            conditions += equal
            continue
        mark, version = f"{rest}.seen[{source}]", f"rest{source}.version"
        conditions.append(f"({mark} == {version} || ({' && '.join(equal)} && ({mark} = {version}, true)))")
        seen.append(f" {mark} = {version};")
    kept = "".join(f" {rest}.i{at} = {name};" for at, name in enumerate(inputs)) + "".join(seen)
    still = " && ".join(f"next.{name} == curr.{name}" for name in region.registers) or "true"
    inside = "\n".join(each.text for each in region.statements).replace(_WRITE, _WRITE_SEEN)
    return (
        f"\tif (!({' && '.join(conditions)})) {{\n\t\tbool moved = false;\n\t{kept}\n{inside}\n"
        f"\t\t{rest}.moved = !({still});\n\t\t{rest}.still = !moved && !{rest}.moved;\n\t}}"
    )
