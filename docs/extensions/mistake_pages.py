"""Writes a page for each mistake of the gallery, with its diagnosis and its loss curve."""

from __future__ import annotations

from pathlib import Path

from exhibits import HERE, Exhibit, exhibits
from loss_curves import draw
from sphinx.application import Sphinx
from sphinx.util.display import status_iterator
from training import BATCH, FILTERS, STEPS, Parts, Run, parts_with, train, without_mistake

CATALOGUE = {
    "The gradient of the input and the kernel's turn": range(1, 5),
    "The gradients of weights and bias, and sizes": range(5, 10),
    "Signs and channels": range(10, 12),
    "Stride, padding, dilation": range(12, 16),
    "Axes, channels, groups": range(16, 19),
    "Activations, and what is kept between steps": range(19, 22),
    "Pooling and the loss": range(22, 24),
    "Adam": range(24, 31),
}


def write_pages(app: Sphinx) -> None:
    """Write mistakes/<name>.md and .svg, and mistakes/table.inc for the gallery's own page."""
    folder = Path(app.srcdir, "mistakes")
    folder.mkdir(exist_ok=True)
    rows: dict[str, list[str]] = {section: [] for section in CATALOGUE}
    hidden = 0
    shown = exhibits()
    for old in folder.iterdir():
        if old.stem not in {"table", *(exhibit.name for exhibit in shown)}:
            old.unlink()
    for exhibit in status_iterator(shown, "gallery... ", length=len(shown), stringify_func=_name):
        parts = parts_with(exhibit)
        wrong, right = train(parts), train(without_mistake(parts))
        if wrong.losses:
            draw(folder / f"{exhibit.name}.svg", wrong.losses, right.losses)
        _write(folder / f"{exhibit.name}.md", _page(exhibit, parts, wrong, right))
        section = next(s for s, numbers in CATALOGUE.items() if int(exhibit.code[1:]) in numbers)
        hidden += wrong.accuracy > right.accuracy - 0.01
        rows[section].append(_row(exhibit, wrong, right))
    head = "| | mistake | loss at the end | accuracy |\n|---|---|---|---|"
    tables = [f"## {section}\n\n{head}\n" + "\n".join(rows[section]) for section in rows]
    count = (
        f"Of {len(shown)} trainings with a mistake, {hidden} come within one point of the accuracy "
        "without it, or above."
    )
    _write(folder / "table.inc", "\n\n".join([count, *tables]) + "\n")


def _name(exhibit: Exhibit) -> str:
    return exhibit.name


def _write(path: Path, text: str) -> None:
    """Write a file unless it is as it shall be: Sphinx reads again what has changed."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _row(exhibit: Exhibit, wrong: Run, right: Run) -> str:
    link = f"[{exhibit.title}](mistakes/{exhibit.name}.md)"
    if wrong.stopped:
        return f"| {exhibit.code} | {link} | stops | |"
    return (
        f"| {exhibit.code} | {link} | {wrong.loss:.3f} ({right.loss:.3f}) "
        f"| {wrong.accuracy:.1%} ({right.accuracy:.1%}) |"
    )


def _page(exhibit: Exhibit, parts: Parts, wrong: Run, right: Run) -> str:
    blocks = [
        f"# {exhibit.code}: {exhibit.title}",
        *exhibit.story,
        f"**What one sees.** {exhibit.symptom}",
        f"```python\n{exhibit.source}```",
        "## What diagnose says",
        f"```text\n>>> print({exhibit.call})\n{exhibit.diagnosis()}\n```",
        "## What training says",
        *_training(exhibit, parts, wrong, right),
    ]
    twin = HERE / "cpp" / f"{exhibit.name}.cpp"
    if twin.exists():
        blocks += [
            "## The same in C++",
            f"```cpp\n{twin.read_text()}```",
            "[How to have it diagnosed](../diagnose.md).",
        ]
    return "\n\n".join(blocks) + "\n"


def _training(exhibit: Exhibit, parts: Parts, wrong: Run, right: Run) -> list[str]:
    if not wrong.losses:
        return [f"It stops at the first step: {wrong.stopped}."]
    how = (
        "gradient descent" if parts.optimizer == "sgd" else "Adam"
    ) + f" with a learning rate of {parts.lr:g}"
    network = (
        "A dense layer and softmax learn the digits"
        if parts.model is not None
        else f"Two convolutions of {FILTERS[0]} and {FILTERS[1]} filters, a dense layer and "
        "softmax learn the digits"
    )
    setting = (
        f"{network}: {STEPS} batches of {BATCH}, {how}. The two runs begin with the same "
        "weights and see the same batches; only the mistake differs."
    )
    end = (
        f"The training stops: {wrong.stopped}."
        if wrong.stopped
        else f"At the end the loss is {wrong.loss:.3f}, and {wrong.accuracy:.1%} of the held-out "
        f"digits are recognised; without the mistake it is {right.loss:.3f}, and "
        f"{right.accuracy:.1%}."
    )
    if wrong.loss < 1.1 * right.loss and not wrong.stopped:
        end += " **Training hides this mistake**: no curve would have told."
    return [setting, f"![Loss with and without the mistake]({exhibit.name}.svg)", end]


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
