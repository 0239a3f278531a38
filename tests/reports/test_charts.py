"""The charts: safe to put into a page, readable in Chinese, quiet without numbers."""

from __future__ import annotations

import re
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from app.reports import charts

NASTY = '</script><script>alert(1)</script><img src=x onerror="x">'
SVG = "{http://www.w3.org/2000/svg}"


def tree(svg: Markup) -> ET.Element:
    return ET.fromstring(svg)


def every_chart(label: str) -> dict[str, Markup]:
    return {
        "hbar": charts.hbar([label, "乙"], [2, 1], label=label, hrefs=["/customers/show/1", None]),
        "donut": charts.donut([(label, 2), ("乙", 1)], label=label),
        "columns": charts.columns([label, "乙"], [(label, [2, 1]), ("s", [0, 3])], label=label),
        "stacked": charts.stacked([label, "乙"], [(label, [2, 1]), ("s", [None, 3])], label=label),
        "bars": charts.bars([label, "乙"], [2, 1], label=label),
        "lines": charts.lines([label, "乙"], [(label, [2, 1]), ("s", [None, 3])], label=label),
        "answers": charts.answers([label, "乙"], [(label, [2, 1]), ("s", [0, 3])], label=label),
        "funnel": charts.funnel([(label, 2), ("乙", 1)], label=label, hrefs=["/reports/funnel/rows", None]),
    }


@pytest.mark.parametrize("name", every_chart(""))
def test_text_stays_text(name):
    svg = every_chart(NASTY)[name]

    root = tree(svg)

    assert isinstance(svg, Markup)
    assert root.get("aria-label") == NASTY
    shapes = {"rect", "path", "circle", "polygon"}
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {"svg", "g", "text", "tspan", "desc", "a"} | shapes
    assert NASTY in {e.text for e in root.iter(f"{SVG}desc")}


@pytest.mark.parametrize("name", every_chart(""))
def test_nothing_the_content_security_policy_forbids(name):
    svg = every_chart("一月")[name]

    assert not re.search(r"<style|<script|<!--|<title|\sstyle=|\son\w+=|https?://(?!www\.w3\.org/)", svg)
    assert "color-0" in svg
    assert tree(svg).get("class") == f"lk-chart {name}"


@pytest.mark.parametrize("name", every_chart(""))
def test_control_characters_do_not_break_the_page(name):
    assert tree(every_chart("a\x00b\x0bc\ud800")[name]).get("aria-label") == "a b c "


def test_no_numbers_no_chart():
    assert charts.hbar([], [], label="x") == ""
    assert charts.donut([], label="x") == ""
    assert charts.donut([("a", 0), ("b", 0)], label="x") == ""
    assert charts.columns([], [], label="x") == ""
    assert charts.stacked([], [], label="x") == ""
    assert charts.stacked(["a"], [("s", [None])], label="x") == ""
    assert charts.bars([], [], label="x") == ""
    assert charts.bars(["a"], [None], label="x") == ""
    assert charts.lines(["a"], [("s", [None])], label="x") == ""
    assert charts.answers(["a"], [("s", [0])], label="x") == ""
    assert charts.funnel([], label="x") == charts.funnel([("a", 0), ("b", 0)], label="x") == ""
    assert charts.spark([], label="x") == charts.spark([None, 1, None], label="x") == ""


def test_zeros_are_numbers():
    assert charts.hbar(["a"], [0], label="x").count("¥") == 0
    assert "<rect" in charts.hbar(["a", "b"], [0, 0], label="x")
    assert "<rect" in charts.bars(["a"], [0], label="x")
    assert "<circle" in charts.lines(["a", "b"], [("s", [0, 0])], label="x")


def test_the_scale_of_stacked_columns_covers_their_sums():
    svg = charts.stacked(["a", "b"], [("s", [40, 5]), ("t", [50, 5])], label="x")
    scale = [e.text for e in tree(svg).iter(f"{SVG}text") if e.text and e.text.isdigit()]

    assert scale == ["0", "25", "50", "75", "100"]


def test_a_part_of_nothing_keeps_the_colours_of_the_others():
    svg = charts.donut([("a", 3), ("none", 0), ("c", 1)], label="x")

    coloured = {g.get("class").split()[-1] for g in tree(svg).iter(f"{SVG}g") if g.find(f".//{SVG}path") is not None
                and "color-" in (g.get("class") or "")}  # fmt: skip

    assert coloured == {"color-0", "color-2"}


def test_the_seventh_series_has_a_colour_of_the_palette():
    svg = charts.columns(["a"], [(str(n), [n + 1]) for n in range(8)], label="x")

    assert set(re.findall(r"color-(\d+)", svg)) == set("012345")


@pytest.mark.parametrize(("text", "length"), [("", 0), ("abc", 3), ("恒锐", 4), ("恒a，", 5)])
def test_chinese_characters_count_as_wide(text, length):
    assert len(charts._Wide(text)) == length


def test_chinese_labels_push_the_bars_to_the_right():
    def left(label: str) -> float:
        plot = next(g for g in tree(charts.hbar([label], [1], label="x")).iter(f"{SVG}g") if g.get("class") == "plot")
        return float(re.search(r"\((\d+)", plot.get("transform"))[1])

    assert left("恒锐精密机械") - left("恒") >= 5 * charts.FONT_SIZE


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("苏州恒锐精密机械有限公司华东", ["苏州恒锐精密机械有限公司华东"]),  # as wide as a line
        ("苏州恒锐精密机械有限公司华东大区", ["苏州恒锐精密机械有限公司", "华东大区"]),
        ("Kittiwake Cold Storage and Shipping", ["Kittiwake Cold Storage", "and Shipping"]),
        ("Old Kittiwakescoldstorages", ["Old", "Kittiwakescoldstorages"]),
        ("Old Kittiwakescoldstoragesandco", ["Old Kittiwakescoldstorag", "esandco"]),
        ("恒" * 28, ["恒" * 14, "恒" * 14]),
        ("恒" * 29, ["恒" * 14, "恒" * 13 + "…"]),
    ],
)
def test_a_long_label_takes_two_lines_and_is_told_whole_in_the_tip(name, lines):
    svg = charts.hbar([name], [1], label="x")

    assert f'<desc class="label">{name}</desc>' in svg
    found = [text for text in tree(svg).iter(f"{SVG}text") if (text.text or text[0].text or "")[:2] == name[:2]]
    assert [[span.text for span in text] or [text.text] for text in found] == [lines]


def test_bars_come_in_the_order_given_with_their_values():
    svg = charts.hbar(["big", "small"], [Decimal("1234.50"), 7], label="x", formatter=lambda v: f"¥{v:,.2f}")
    root = tree(svg)

    height = {t.text: float(t.get("y")) for t in root.iter(f"{SVG}text")}

    assert height["big"] < height["small"]
    assert height["¥1,234.50"] < height["¥7.00"]
    assert [d.text for d in root.iter(f"{SVG}desc") if d.get("class") == "label"] == ["big", "small"]


def test_a_bar_that_leads_somewhere_can_be_reached_by_keyboard():
    svg = charts.hbar(["恒锐", "乙"], [1234, 7], label="x", hrefs=["/customers/show/5?a=1&b=2", None])
    root = tree(svg)

    (link,) = root.iter(f"{SVG}a")

    assert link.attrib == {"href": "/customers/show/5?a=1&b=2", "tabindex": "0", "aria-label": "恒锐 1,234"}
    assert root.get("role") == "group"
    assert tree(charts.hbar(["a"], [1], label="x")).get("role") == "img"


@pytest.mark.parametrize("href", ["javascript:alert(1)", "https://example.com/", "//example.com", "/\\example.com", ""])
def test_a_bar_leads_to_pages_of_this_application_only(href):
    with pytest.raises(ValueError, match="this application"):
        charts.hbar(["a"], [1], label="x", hrefs=[href])


def test_labels_and_values_go_in_pairs():
    with pytest.raises(ValueError, match="zip"):
        charts.hbar(["a"], [1, 2], label="x")


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0], [0, 1]),
        ([1], [0, 1]),
        ([5], [0, 2, 4, 6]),
        ([40, 17], [0, 10, 20, 30, 40]),
        ([199], [0, 50, 100, 150, 200]),
        ([-30, 60], [-50, -25, 0, 25, 50, 75]),
        ([0.3], [0, 0.1, 0.2, 0.3]),
        ([Decimal("1286000.50")], [0, 500_000, 1_000_000, 1_500_000]),
    ],
)
def test_the_scale_has_round_numbers(values, ticks):
    assert charts._ticks(values) == ticks


def test_a_funnel_is_as_high_as_its_picture_and_narrows_to_what_is_left():
    links = ["/a", "/b", "/c", "/d"]
    svg = charts.funnel([("a", 8), ("b", 4), ("c", 1), ("d", 0)], label="x", width=400, height=100, hrefs=links)

    drawn = [
        [tuple(map(float, point.split())) for point in re.findall(r"[\d.]+ [\d.]+", polygon.get("points"))]
        for polygon in tree(svg).iter(f"{SVG}polygon")
    ]

    def edges(points):
        """Height at the left and at the right."""
        return [
            round(max(y for x, y in points if x == end) - min(y for x, y in points if x == end))
            for end in (min(points)[0], max(points)[0])
        ]

    full = round(100 * (1 - 2 * 0.02))  # pygal leaves a margin
    assert [edges(points) for points in drawn] == [[full, full], [full, full // 2], [full // 2, full // 8]]
    assert re.findall('href="([^"]*)"', svg) == links[:3]  # a stage with nothing has no shape, and leads nowhere


def test_crowded_labels_are_thinned():
    months = [f"2025-{n:02d}" for n in range(1, 49)]
    svg = charts.bars(months, [1] * 48, label="x")

    shown = [t.text for t in tree(svg).iter(f"{SVG}text") if t.text in months]

    assert 4 <= len(shown) <= 12
    assert svg.count('class="label"') == 48


def test_stacked_columns_are_whole_and_say_their_counts():
    svg = charts.answers(["May", "June", "July"], [("good", [1, 0, 3]), ("bad", [2, 0, 0])], label="x", height=100)

    values = [d.text for d in tree(svg).iter(f"{SVG}desc") if d.get("class") == "value"]
    heights = [float(r.get("height")) for r in tree(svg).iter(f"{SVG}rect") if r.get("class", "").startswith("rect")]

    assert values == ["1 (33.3%)", "0", "3 (100.0%)", "2 (66.7%)", "0", "0 (0.0%)"]
    assert heights[0] + heights[3] == pytest.approx(heights[2], abs=0.3)
    assert heights[1] == heights[4] == heights[5] == 0
    assert [t.text for t in tree(svg).iter(f"{SVG}text")][:3] == ["0", "50", "100"]


@pytest.mark.parametrize(
    ("values", "points"),
    [
        ([0, 5, 10], "2.0 22.0 36.0 12.0 70.0 2.0"),
        ([10, None, 0], "2.0 2.0 70.0 22.0"),
        ([7, 7], "2.0 12.0 70.0 12.0"),
        ([Decimal("-1"), 1], "2.0 22.0 70.0 2.0"),
    ],
)
def test_a_small_line_reaches_from_the_lowest_to_the_highest(values, points):
    svg = charts.spark(values, label=NASTY)

    root = tree(svg)

    assert root.find(f".//{SVG}polyline").get("points") == points
    assert (root.get("aria-label"), root.get("class")) == (NASTY, "lk-chart spark")
    assert len(svg) < 600


@pytest.mark.once
def test_of_months_every_second_is_named_and_of_words_all_in_two_lines():
    def named(labels):
        found = tree(charts.lines(labels, [("s", [1] * len(labels))], label="x", width=760))
        texts = ["".join(text.itertext()) for text in found.iter(f"{SVG}text")]
        return [text for text in texts if text in labels]

    months = [f"2026年{n}月" for n in range(1, 12)]
    assert named(months) == months[::2]
    words = [f"{name}有限公司销售部" for name in "甲乙丙丁戊己庚"]
    assert len(named(words)) == len(words)


@pytest.mark.once
@pytest.mark.parametrize("draw", [charts.columns, charts.stacked])
def test_on_a_phone_words_stand_whole_beside_lying_bars_in_the_order_given(draw):
    labels = [
        "Visit",
        "Price concession",
        "Warnings nobody acted on",
        "Newly registered",
        "一二三四五六七八九十有限公司",
    ]
    series = [("cases", [1, 2, 3, 4, 5]), ("ordered", [5, 4, None, 2, 1])]
    links = [[f"/reports/x/rows?line={n}&column={name}" for n in range(5)] for name, _values in series]
    svg = draw(labels, series, label="x", hrefs=links, width=320)

    root = tree(svg)
    told = {"".join(text.itertext()): text for text in root.iter(f"{SVG}text")}
    found = [(whole.replace(" ", ""), float(text.get("y"))) for whole, text in told.items()]
    places = {name: y for name, y in found if name in {label.replace(" ", "") for label in labels}}
    assert root.get("class") == "lk-chart lying"
    assert sorted(places, key=places.get) == [label.replace(" ", "") for label in labels]
    bars = [(link.get("href"), link.find(f"{SVG}rect")) for link in root.iter(f"{SVG}a")]
    assert [href for href, _bar in bars] == [links[0][n] for n in range(5)] + [links[1][n] for n in (0, 1, 3, 4)]
    widths = [float(bar.get("width")) for _href, bar in bars]
    assert widths[4] == pytest.approx(widths[0] * 5, rel=0.02)
    assert widths[5] == pytest.approx(widths[4], rel=0.02)  # of both series alike
    tops = [float(bar.get("y")) for _href, bar in bars]
    assert tops == sorted(tops[:5]) + sorted(tops[5:])
    assert (tops[5] > tops[0]) is (draw is charts.columns)  # side by side the first stands above
    assert 'class="series serie-0 color-0"' in svg


@pytest.mark.once
def test_months_and_wide_charts_stay_upright():
    for labels, width in ((["Visit", "Price concession", "Newly registered"] * 2, 560), (["Jan", "Feb"] * 6, 320),
                          ([f"2026-{n:02d}" for n in range(1, 13)], 320)):  # fmt: skip
        assert 'class="lk-chart columns"' in charts.columns(labels, [("s", [1] * len(labels))], label="x", width=width)
