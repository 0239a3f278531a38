"""The house style of charts (图表): small inline SVGs, drawn by pygal, coloured by liuke.css.

A chart carries no style, no script and no colour, so it obeys the content security policy and follows the light and
dark theme. Series are coloured in the order given (`--lk-c1` to `--lk-c6`); legends use the classes `k1` to `k6` in
the same order. Every mark keeps its `<desc>` texts, from which liuke.js makes the tip. A chart is a picture: the page
shows the same numbers in a table beside it.

A chart grows and shrinks with its card, its text too: `width` should be near the card's width in pixels. A wide chart
is drawn a second time for phones (width 340), one in `only-d`, the other in `only-m`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pygal
from markupsafe import Markup
from pygal.style import Style

Number = int | float | Decimal
Formatter = Callable[[Any], str]
Links = Sequence[Sequence[str | None]] | None
"""Addresses of our own pages: for each series one per mark, or None."""

COLOURS = 6
FONT_SIZE = 11
ROOM = 60  # pixels in which a shortened label still says something
SLANT, SLANTED_WIDTH = 325, 14  # degrees, and Latin characters
PHONE, SHORT = 400, 4  # pixels below which longer words than this are read beside lying bars, not aslant
LABEL_WIDTH = 24  # of a bar's label, in Latin characters; 14 Chinese ones

_STYLE = Style(
    font_family="inherit", transition="0s", label_font_size=FONT_SIZE, major_label_font_size=FONT_SIZE,
    value_font_size=FONT_SIZE, value_label_font_size=FONT_SIZE, legend_font_size=FONT_SIZE,
)  # fmt: skip
_HOUSE = {
    "style": _STYLE, "js": (), "css": (), "no_prefix": True, "disable_xml_declaration": True, "explicit_size": False,
    "show_legend": False, "show_x_guides": False, "truncate_label": -1, "margin": 4, "spacing": 8, "rounded_bars": 2,
    "print_labels": False,
}  # fmt: skip
_DROPPED = {"style", "script", "title", "defs"}  # <title> would pop up as a native tip beside ours
_NOTES = frozenset({"value", "label", "x_label"})  # what the tip reads
_GEOMETRY = ("x", "y", "d", "cx", "cy", "r", "rx", "ry", "width", "height", "points", "transform")
_LONG_FRACTION = re.compile(r"(\.\d)\d+")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]+")


def told_apart(sizes: Sequence[Number]) -> list[int]:
    """The places of the parts that have a colour of their own, in order: all, or of more than there are colours the
    biggest; the others are to be drawn together, in the last colour."""
    if len(sizes) <= COLOURS:
        return list(range(len(sizes)))
    return sorted(sorted(range(len(sizes)), key=lambda n: -sizes[n])[: COLOURS - 1])


class _Wide(str):
    """Text whose length counts a Chinese character as the whole em it takes.

    pygal reserves 0.6 em for each character it counts, which would let Chinese labels run over the bars.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return math.ceil(max(sum(map(_width, line)) for line in str(self).split("\n")))


def hbar(
    labels: Sequence[str],
    values: Sequence[Number],
    *,
    label: str,
    formatter: Formatter | None = None,
    hrefs: Sequence[str | None] | None = None,
    width: int = 400,
    step: int = 26,
) -> Markup:
    """Horizontal bars with their values at the end, first label on top, one every `step` pixels.

    `label` names the chart for those who cannot see it. `hrefs` are addresses of our own pages, one per bar or None.
    Long labels take two lines and are cut only when those are too short; the tip has them whole. No values: "".
    """
    if not values:
        return Markup("")
    texts = [_formatted(v, formatter) for v in values]
    names = [_fold(_clean(name), LABEL_WIDTH) for name in labels]
    plot = width - max(map(len, names)) * 0.6 * FONT_SIZE - 40
    beyond = (max(len(_Wide(t)) for t in texts) * 0.6 * FONT_SIZE + 12) / max(plot, 120)
    low, high = min(0.0, *map(float, values)), max(0.0, *map(float, values))
    chart = pygal.HorizontalBar(
        **_HOUSE, width=width, height=step * len(names) + 16, show_x_labels=False, show_y_guides=False,
        print_values=True, print_values_position="top", range=(low, (high or 1.0) / (1 - min(beyond, 0.6))),
    )  # fmt: skip
    # The gap between bars is not among pygal's options.
    chart._series_margin = 0.16
    chart.x_labels = names[::-1]
    links = hrefs if hrefs is not None else [None] * len(names)
    points = [
        _point(v, text, name=name, href=href) for v, text, name, href in zip(values, texts, labels, links, strict=True)
    ]
    chart.add("", points[::-1])
    return _drawn(chart, label, "hbar", notes=_NOTES - {"x_label"})


def donut(
    parts: Sequence[tuple[str, Number]],
    *,
    label: str,
    formatter: Formatter | None = None,
    hrefs: Sequence[str | None] | None = None,
    size: int = 132,
) -> Markup:
    """A ring of parts of a whole, clockwise in the order given; the middle is left to the page.

    Parts below zero count as nothing. Without anything above zero there is no ring: ''. `hrefs`: one per part or None.
    """
    shares = [(name, max(0.0, float(v)), v) for name, v in parts]
    total = sum(share for _name, share, _v in shares)
    if total <= 0:
        return Markup("")
    chart = pygal.Pie(**_HOUSE | {"margin": 0, "spacing": 0}, width=size, height=size, inner_radius=0.66)
    links = hrefs if hrefs is not None else [None] * len(shares)
    for (name, share, value), href in zip(shares, links, strict=True):
        text = f"{_formatted(value, formatter)} ({share / total:.1%})"
        chart.add("", [_point(share, text, name=name, href=href)] if share else [])
    return _drawn(chart, label, "donut")


def columns(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[Number | None]]],
    *,
    label: str,
    formatter: Formatter | None = None,
    hrefs: Links = None,
    width: int = 560,
    height: int = 220,
) -> Markup:
    """Grouped columns: for each label one column of every series, side by side. No values, no chart: ''."""
    return _upright(
        pygal.Bar, labels, series, label=label, name="columns", formatter=formatter, hrefs=hrefs,
        width=width, height=height,
    )  # fmt: skip


def stacked(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[Number | None]]],
    *,
    label: str,
    formatter: Formatter | None = None,
    hrefs: Links = None,
    width: int = 560,
    height: int = 220,
) -> Markup:
    """Stacked columns: for each label the parts of one whole, the first series at the foot. None below zero.

    No values, no chart: ''.
    """
    return _upright(
        pygal.StackedBar, labels, series, label=label, name="stacked", formatter=formatter, hrefs=hrefs,
        width=width, height=height,
    )  # fmt: skip


def bars(
    labels: Sequence[str],
    values: Sequence[Number | None],
    *,
    label: str,
    formatter: Formatter | None = None,
    hrefs: Sequence[str | None] | None = None,
    width: int = 400,
    height: int = 180,
) -> Markup:
    """One column per label, such as orders by month. No values, no chart: ''."""
    return _upright(
        pygal.Bar, labels, [(None, values)], label=label, name="bars", formatter=formatter,
        hrefs=None if hrefs is None else [hrefs], width=width, height=height,
    )  # fmt: skip


def lines(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[Number | None]]],
    *,
    label: str,
    formatter: Formatter | None = None,
    hrefs: Links = None,
    width: int = 720,
    height: int = 240,
) -> Markup:
    """Lines over time, one per series; None leaves a gap. No values, no chart: ''."""
    return _upright(
        pygal.Line, labels, series, label=label, name="lines", formatter=formatter, hrefs=hrefs,
        width=width, height=height,
        show_dots=True, dots_size=3, allow_interruptions=True,
    )  # fmt: skip


class _Funnel(pygal.Funnel):
    """pygal's begins in a point; ours is as wide as its first stage from the start."""

    def _compute(self) -> None:
        super()._compute()
        first = self.series[0].points[0]
        first[0], first[1] = (first[0][0], first[3][1]), (first[1][0], first[2][1])

    def funnel(self, serie: Any) -> None:
        """Nothing is no shape: pygal's would narrow down to it, and lead to no rows."""
        if any(serie.values):
            super().funnel(serie)


def funnel(
    stages: Sequence[tuple[str, Number]],
    *,
    label: str,
    formatter: Formatter | None = None,
    hrefs: Sequence[str | None] | None = None,
    width: int = 400,
    height: int = 140,
) -> Markup:
    """Stages from left to right, each as high as what is left in it, none where nothing is; their names are left to the
    page.

    Nothing in the first stage, no chart: ''. `hrefs`: one per stage or None.
    """
    if not stages or float(stages[0][1]) <= 0:
        return Markup("")
    half = max(float(value) for _name, value in stages) / 2
    chart = _Funnel(
        **_HOUSE | {"margin": 0, "spacing": 0}, width=width, height=height, range=(-half, half),
        show_x_labels=False, show_y_labels=False, show_y_guides=False,
    )  # fmt: skip
    links = hrefs if hrefs is not None else [None] * len(stages)
    for (name, value), href in zip(stages, links, strict=True):
        chart.add("", [_point(value, _formatted(value, formatter), name=name, href=href)])
    return _drawn(chart, label, "funnel", notes=_NOTES - {"x_label"})


def answers(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[int]]],
    *,
    label: str,
    width: int = 340,
    height: int = 180,
) -> Markup:
    """For each label one column of 100 per cent, of which every series has its share; the first lies at the foot.

    `series` are counts, from the best to the worst: the colours say so, legends use `q1` to `q4`. A label without any
    has no column. Nothing at all, no chart: ''.
    """
    wholes = [sum(counts) for counts in zip(*(values for _name, values in series), strict=True)]
    if not any(wholes):
        return Markup("")
    shares = [
        (name, [n * 100 / whole if whole else None for n, whole in zip(values, wholes, strict=True)])
        for name, values in series
    ]
    texts = [
        [f"{n:,} ({n / whole:.1%})" if whole else "" for n, whole in zip(values, wholes, strict=True)]
        for _name, values in series
    ]
    return _upright(
        pygal.StackedBar, labels, shares, label=label, name="answers", formatter=None, hrefs=None,
        width=width, height=height, scale=(0, 50, 100), texts=texts,
    )  # fmt: skip


def spark(values: Sequence[Number | None], *, label: str, width: int = 72, height: int = 24) -> Markup:
    """A line without scale or marks, from the lowest value at the foot to the highest at the top; None is left out.

    Equal values lie in the middle. Fewer than two, no line: ''.
    """
    known = [(place, float(v)) for place, v in enumerate(values) if v is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(v for _place, v in known), max(v for _place, v in known)
    room, across = height - 4, (width - 4) / (len(values) - 1)
    points = " ".join(
        f"{2 + place * across:.1f} {2 + (room * (high - v) / (high - low) if high > low else room / 2):.1f}"
        for place, v in known
    )
    line = Markup('<g class="series color-0"><polyline class="line reactive nofill" points="{}"/></g>').format(points)
    return _svg("spark", label, width, height, line)


def _svg(name: str, label: str, width: int, height: int, shapes: Markup) -> Markup:
    """A picture too simple for pygal, with the marks of the others."""
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="lk-chart {}" role="img" aria-label="{}" viewBox="0 0 {} {}">'
        "{}</svg>"
    ).format(name, _clean(label), width, height, shapes)


def _upright(
    kind: Callable[..., Any],
    labels: Sequence[str],
    series: Sequence[tuple[str | None, Sequence[Number | None]]],
    *,
    label: str,
    name: str,
    formatter: Formatter | None,
    hrefs: Links,
    width: int,
    height: int,
    scale: Sequence[float] | None = None,
    texts: Sequence[Sequence[str]] | None = None,
    **options: Any,
) -> Markup:
    """A chart with the labels along the foot and a scale of round numbers, or `scale`, at the left.

    A series without a name has the labels for names. `texts` are what the tips say instead of the values.
    """
    known = [v for _name, values in series for v in values if v is not None]
    if not known:
        return Markup("")
    wholes = [sum(v or 0 for v in parts) for parts in zip(*(values for _name, values in series), strict=True)]
    ticks = list(scale) if scale is not None else _ticks(wholes if kind is pygal.StackedBar else known)
    shown = [_Wide(_cut(_clean(text), LABEL_WIDTH)) for text in labels]
    room = (width - 60) / max(1, len(shown))
    every = math.ceil((max(map(len, shown)) + 1) * 0.6 * FONT_SIZE / room)
    words = not any(character.isdigit() for text in shown for character in text)
    if every == 2 and room >= ROOM and words:  # not a row of dates: all of them, in two lines
        shown, every = [_fold(_clean(text), int(room / 0.6 / FONT_SIZE) - 1) for text in labels], 1
        options["margin_bottom"], height = _HOUSE["margin"] + FONT_SIZE, height + FONT_SIZE
    elif every > 1 and words and width < PHONE and max(map(len, shown)) > SHORT and kind in _LYING:
        return _lying(kind, labels, series, ticks, label=label, formatter=formatter, hrefs=hrefs, width=width)
    elif every > 1 and words:  # no room for that either: all of them, aslant
        shown, every = [_Wide(_cut(_clean(text), SLANTED_WIDTH)) for text in labels], 1
        options["x_label_rotation"] = SLANT
        height += int(max(map(len, shown)) * 0.35 * FONT_SIZE)
    chart = kind(
        **_HOUSE, width=width, height=height, range=(ticks[0], ticks[-1]), y_labels=ticks,
        y_labels_major=[], show_minor_y_labels=True, x_labels_major_every=every, show_minor_x_labels=every == 1,
        value_formatter=lambda value: _formatted(value, formatter), **options,
    )  # fmt: skip
    chart._series_margin = 0.2
    chart.x_labels = shown
    every_text = texts or [[_formatted(v, formatter) if v is not None else "" for v in own] for _name, own in series]
    for points in _marks(labels, series, every_text, hrefs):
        chart.add("", points)
    named = all(title is not None for title, _values in series)
    return _drawn(chart, label, name, notes=_NOTES if named else _NOTES - {"x_label"})


def _marks(
    labels: Sequence[str],
    series: Sequence[tuple[str | None, Sequence[Number | None]]],
    texts: Sequence[Sequence[str]],
    hrefs: Links,
) -> list[list[dict[str, Any] | None]]:
    """The marks of every series; one without a name has the labels for names."""
    every_link = hrefs if hrefs is not None else [[None] * len(labels)] * len(series)
    return [
        [
            None if value is None else _point(value, text, name=own, href=href)
            for own, value, text, href in zip(
                labels if title is None else [title] * len(labels), values, said, links, strict=True
            )
        ]
        for (title, values), links, said in zip(series, every_link, texts, strict=True)
    ]


_LYING = {pygal.Bar: pygal.HorizontalBar, pygal.StackedBar: pygal.HorizontalStackedBar}


def _lying(
    kind: Callable[..., Any],
    labels: Sequence[str],
    series: Sequence[tuple[str | None, Sequence[Number | None]]],
    ticks: Sequence[float],
    *,
    label: str,
    formatter: Formatter | None,
    hrefs: Links,
    width: int,
) -> Markup:
    """Columns laid on their side, first label on top, so that a phone has room for words: in two lines beside them."""
    cleaned = [_clean(text) for text in labels]
    most = 16 if max(len(_Wide(text)) for text in cleaned) <= 28 else LABEL_WIDTH
    names = [_fold(text, most) for text in cleaned]
    texts = [[_formatted(v, formatter) if v is not None else "" for v in own] for _name, own in series]
    longest = (max(len(_formatted(tick, formatter)) for tick in ticks) + 2) * 0.6 * FONT_SIZE
    every = math.ceil(longest * len(ticks) / (width - max(map(len, names)) * 0.6 * FONT_SIZE - 20))
    each = max(30, 11 * len(series) + 8) if kind is pygal.Bar else 30
    chart = _LYING[kind](
        **_HOUSE, width=width, height=each * len(names) + 36, range=(ticks[0], ticks[-1]), y_labels=ticks[::every],
        y_labels_major=[], show_minor_y_labels=True, value_formatter=lambda value: _formatted(value, formatter),
    )  # fmt: skip
    chart._series_margin = 0.16
    chart.x_labels = names[::-1]
    for points in _marks(labels, series, texts, hrefs):
        chart.add("", points[::-1])
    return _drawn(chart, label, "lying")


def _point(value: Number, text: str, *, name: str, href: str | None = None) -> dict[str, Any]:
    """One mark with the texts of its tip, and a link if it has one."""
    point: dict[str, Any] = {"value": float(value), "label": _clean(name), "formatter": lambda _value: text}
    if href is not None:
        if not href.startswith("/") or href.startswith(("//", "/\\")):
            raise ValueError("a chart links to pages of this application only")
        point["xlink"] = {"href": href, "target": "_top"}
    return point


def _drawn(chart: Any, label: str, name: str, *, notes: frozenset[str] = _NOTES) -> Markup:
    """The SVG, as safe markup: the XML writer escapes every text, the filter leaves nothing that is not geometry."""
    chart.add_xml_filter(lambda root: _house_rules(root, _clean(label), name, notes))
    return Markup(chart.render(is_unicode=True))  # noqa: S704


def _house_rules(root: Any, label: str, name: str, notes: frozenset[str]) -> Any:
    """pygal's tree without its style, scripts and comments, with names for assistive technology."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or _tag(child) in _DROPPED or _is_spare(child, notes):
                parent.remove(child)
    for text in [element for element in root.iter() if _tag(element) == "text" and "\n" in (element.text or "")]:
        _two_lines(text, upward=name in ("hbar", "lying"))
    for element in root.iter():
        element.attrib.pop("style", None)
        for attribute in _GEOMETRY:
            if attribute in element.attrib:
                element.set(attribute, _LONG_FRACTION.sub(r"\1", element.get(attribute)))
        element_class = element.get("class")
        if element_class and "color-" in element_class:
            element.set("class", re.sub(r"color-(\d+)", lambda m: f"color-{int(m[1]) % COLOURS}", element_class))
    if name in ("hbar", "lying"):  # pygal draws upwards; the keyboard goes from the first bar to the last
        for group in [element for element in root.iter() if element.get("class") == "bars"]:
            group[:] = group[::-1]
    if name == "lying":
        plot = next(element for element in root.iter() if element.get("class") == "plot")
        plot[:] = sorted(plot, key=_series_of)
    links = [element for element in root.iter() if _tag(element) == "a"]
    for link in links:
        for attribute in [a for a in link.attrib if str(a).endswith("href") or a == "target"]:
            href = link.attrib.pop(attribute)
            if attribute != "target":
                link.set("href", href)
        said = {note.get("class"): note.text for note in link if _tag(note) == "desc"}
        link.set("tabindex", "0")
        link.set("aria-label", " ".join(filter(None, (said.get("label"), said.get("value")))))
    root.attrib.pop("id", None)
    root.set("class", f"lk-chart {name}")
    root.set("role", "group" if links else "img")  # the contents of an img are hidden, and links must not be
    root.set("aria-label", label)
    return root


def _series_of(element: Any) -> int:
    """Which series a group of marks is; -1 for all else."""
    found = re.search(r"serie-(\d+)", element.get("class") or "")
    return int(found[1]) if found else -1


def _two_lines(text: Any, *, upward: bool) -> None:
    """Put a folded label into a line each: below the foot's line, or on both sides of a bar's middle."""
    lines, text.text = text.text.split("\n"), None
    for n, line in enumerate(lines):
        made = text.makeelement(text.tag.replace("text", "tspan"), {"x": text.get("x")})
        made.set("dy", f"{('-0.45', '1.1')[n] if upward else ('0', '1.1')[n]}em")
        made.text = line
        text.append(made)


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2] if isinstance(element.tag, str) else ""


def _is_spare(element: Any, notes: frozenset[str]) -> bool:
    """Notes the tip does not read, and pygal's own empty tip."""
    classes = (element.get("class") or "").split()
    if _tag(element) == "desc":
        return not notes.intersection(classes) or not element.text
    return "tooltip-overlay" in classes or "tooltip" in classes


def _ticks(values: Sequence[Number]) -> list[float]:
    """At most six round numbers from zero (or below) to the first one that covers the values."""
    low, high = min(0.0, *map(float, values)), max(0.0, *map(float, values))
    whole = all(float(v).is_integer() for v in values)
    raw = (high - low) / 4 or 0.25
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= raw * 0.999)
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, max(last, first + 1) + 1)]


def _formatted(value: Any, formatter: Formatter | None) -> str:
    if formatter is not None:
        return _clean(str(formatter(value)))
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}".rstrip("0")


def _clean(text: Any) -> str:
    """Text an XML document may hold."""
    return _UNPRINTABLE.sub(" ", str(text))


def _width(character: str) -> float:
    return 1.67 if unicodedata.east_asian_width(character) in "WF" else 1.0


def _fold(text: str, most: int) -> _Wide:
    """The text, or in two lines when it is wider than `most` Latin characters: broken at a blank if both fit then, else
    where the first is full. What does not fit into two is cut."""
    if len(_Wide(text)) <= most:
        return _Wide(text)
    end = next(n for n in range(len(text), 0, -1) if len(_Wide(text[:n])) <= most)
    blank = text.rfind(" ", 1, end + 1)
    whole = blank > 0 and len(_Wide(text[blank + 1 :])) <= most
    end = blank if whole else min(end, max(1, len(text) - 4))  # 有限公司 stays together
    return _Wide(text[:end].rstrip() + "\n" + _cut(text[end:].lstrip(), most))


def _cut(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis when it is wider than `most` Latin characters."""
    if len(_Wide(text)) <= most:
        return text
    kept, used = [], 1.0
    for character in text:
        used += _width(character)
        if used > most:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"
