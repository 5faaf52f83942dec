"""The page that reports are set on: one file, no request to anywhere."""

from html import escape

_CSS = """
:root { --ink: #23272f; --pale: #6b7280; --rule: #e3e6ea; --accent: #2563a8; --wash: #f6f7f9; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: #fff;
  font: 16px/1.55 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; }
main { max-width: 880px; margin: 0 auto; padding: 56px 24px 96px; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.015em; margin: 0 0 8px; }
h2 { font-size: 21px; letter-spacing: -0.01em; margin: 56px 0 8px; padding-top: 20px;
  border-top: 1px solid var(--rule); }
h3 { font-size: 15px; margin: 28px 0 4px; }
p { margin: 8px 0 12px; max-width: 68ch; }
.lead { color: var(--pale); margin: 0 0 32px; }
.note, figcaption { color: var(--pale); font-size: 14px; line-height: 1.45; max-width: 74ch; }
a { color: var(--accent); }
code, pre { font: 13.5px/1.5 ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
pre { background: var(--wash); border-radius: 6px; padding: 12px 14px; overflow-x: auto; }
figure { margin: 16px 0 8px; }
figure svg { width: 100%; height: auto; display: block; }
ul { padding-left: 20px; max-width: 68ch; } li { margin: 5px 0; }
.scroll { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-size: 14.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--pale); font-size: 13px; }
th, td { padding: 5px 18px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: baseline; }
table.mixing { font-size: 13px; width: 100%; }
table.mixing th, table.mixing td { padding: 3px 4px; border: 0; text-align: right; }
table.mixing th:first-child, table.mixing td:first-child { text-align: left; white-space: nowrap; }
table.mixing span { display: block; padding: 3px 6px; border-radius: 3px; text-align: right; }
table.mixing span.kept { outline: 2px solid var(--ink); font-weight: 700; }
table.settings { width: 100%; }
table.settings td, table.settings th { width: 38%; }
table.settings td:first-child, table.settings th:first-child { width: 24%; }
table.numbers td + td, table.numbers th + th { text-align: right; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 8px 14px;
  align-items: center; margin: 20px 0 10px; font-size: 15px; }
.bars .track { background: var(--wash); border-radius: 3px; height: 20px; }
.bars .fill { background: #c3cad4; border-radius: 3px; height: 100%; }
.bars .own { font-weight: 700; } .bars .fill.own { background: var(--accent); }
.bars .value { text-align: right; font-variant-numeric: tabular-nums; }
.facts { display: flex; flex-wrap: wrap; gap: 18px 44px; margin: 24px 0 8px; }
.facts div { min-width: 110px; } .facts strong { display: block; font-size: 26px;
  letter-spacing: -0.02em; line-height: 1.2; font-variant-numeric: tabular-nums; }
.facts span { color: var(--pale); font-size: 14px; }
@media (max-width: 640px) { main { padding: 32px 16px 64px; } h1 { font-size: 27px; } }
@media print { h2 { break-after: avoid; } figure, table { break-inside: avoid; } }
"""


def page(title: str, body: str) -> str:
    """A whole HTML document."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def facts(entries: list[tuple[str, str]]) -> str:
    """A row of large numbers, each with what it is."""
    cells = "".join(
        f"<div><strong>{value}</strong><span>{label}</span></div>" for value, label in entries
    )
    return f'<div class="facts">{cells}</div>'


def bars(entries: list[tuple[str, float, bool]]) -> str:
    """Horizontal bars on a scale of 0 to 100 %: (label, per cent, whether it is the run's own)."""
    cells = []
    for label, value, own in entries:
        mark = " own" if own else ""
        cells.append(
            f'<div class="label{mark}">{label}</div><div class="track">'
            f'<div class="fill{mark}" style="width:{value:.2f}%"></div></div>'
            f'<div class="value{mark}">{value:.2f} %</div>'
        )
    return f'<div class="bars">{"".join(cells)}</div>'
