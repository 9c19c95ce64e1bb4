"""The page of `rot180.explain` in a browser: every number, every term, every way to reach them."""

# ruff: noqa: RUF001 (multiplication and minus signs, as the page writes them)

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

import geometries
import rot180
import test_mistakes
from rot180 import functional, reference
from rot180.explainer import MISTAKES, explain
from rot180.geometry import conv2d_geometry

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

Case = geometries.Case

CASES = {
    "3x3": Case((1, 4, 5, 1), (3, 3, 1, 1)),
    "channels and filters": Case((1, 4, 3, 2), (2, 3, 2, 3)),
    "stride and padding": Case((1, 5, 5, 2), (3, 3, 2, 2), 2, 1),
    "uneven padding": Case((1, 4, 4, 1), (3, 2, 1, 2), padding=((2, 0), (0, 1))),
    "dilation": Case((1, 6, 5, 1), (2, 3, 1, 2), dilation=(3, 2)),
    "dilation, stride, padding": Case((1, 5, 6, 1), (3, 2, 1, 1), (2, 3), (2, 1), (2, 3)),
    "groups": Case((1, 4, 4, 4), (2, 2, 2, 2), groups=2),
    "depthwise": Case((1, 4, 4, 3), (3, 3, 1, 3), padding=1, groups=3),
    "remainder": Case((1, 6, 7, 1), (3, 2, 1, 2), (2, 3)),
    "1x1": Case((1, 2, 3, 3), (1, 1, 3, 2)),
    "kernel as large as the input": Case((1, 3, 4, 2), (3, 4, 2, 2)),
    "kernel that the stride steps over": Case((1, 6, 5, 1), (2, 1, 1, 2), (3, 2)),
    "same": Case((1, 5, 4, 1), (2, 4, 1, 1), padding="same"),
    "everything": Case((1, 7, 6, 2), (3, 2, 1, 2), (2, 3), ((1, 2), (0, 1)), (2, 1), 2),
}

# Every number on the page, by array and index; in all channels.
READ_ARRAYS = """() => {
    for (const name of ["Channel", "Filter"]) {
        document.querySelector(`[data-choice="${name}:all"][aria-pressed="false"]`)?.click();
    }
    const arrays = {};
    for (const { dataset } of document.querySelectorAll("#view td[data-array]")) {
        (arrays[dataset.array] ??= {})[dataset.index] = dataset.value;
    }
    return JSON.stringify(arrays);
}"""

# What the page says of every cell of a result as the pointer comes to it: the cell's value, the
# sum that the panel names, the texts and amounts of its terms, and the cells that light up.
READ_TERMS = """(names) => {
    const found = [];
    let place = 1000;
    for (const name of names) {
        for (const cell of document.querySelectorAll(`#view td[data-array="${name}"]`)) {
            cell.dispatchEvent(new MouseEvent("mousemove", { bubbles: true, screenX: place++ }));
            const terms = [...document.querySelectorAll("#terms li")].map((row) => [
                row.querySelector(".product").textContent,
                Number(row.dataset.product),
            ]);
            const sum = Number(document.querySelector("#terms .sum").dataset.sum);
            const lit = [...document.querySelectorAll("#view td.lit")].map(
                ({ dataset }) => `${dataset.array}[${dataset.index}]`,
            );
            found.push([name, cell.dataset.index, Number(cell.dataset.value), sum, terms, lit]);
        }
    }
    return JSON.stringify(found);
}"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def screen(browser):
    """A tab that most tests use one after the other."""
    return browser.new_page(viewport={"width": 1440, "height": 1000})


@pytest.fixture
def show(browser, screen, tmp_path):
    """Open an explanation; fail at the end if the page complained or asked for another file."""
    opened, complaints, requests = [], [], []
    listeners = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "request": lambda request: requests.append(request.url),
    }

    def show(explanation, **options):
        path = tmp_path / f"page{len(opened)}.html"
        explanation.save(path)
        page = browser.new_page(**options) if options else screen
        page.set_default_timeout(5000)
        if page not in opened:
            for event, listener in listeners.items():
                page.on(event, listener)
        opened.append(page)
        page.goto(path.as_uri())
        return page

    yield show
    for page in set(opened):
        if page is screen:
            for event, listener in listeners.items():
                page.remove_listener(event, listener)
        else:
            page.close()
    assert complaints == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in requests) == len(opened)


def explain_case(case, seed=0, **options):
    x, w, dy = case.integers(np.float64, seed)
    b = np.arange(1.0, 1 + w.shape[3])
    return explain(x, w, dy, b, **case.options, **options)


def numbers(cells):
    """An array from the page's cells, which must be all cells of a box."""
    places = {tuple(map(int, index.split(","))): float(value) for index, value in cells.items()}
    shape = tuple(np.max(list(places), axis=0) + 1)
    assert len(places) == np.prod(shape)
    array = np.empty(shape)
    for place, value in places.items():
        array[place] = value
    return array


def read_arrays(page):
    cells_of = json.loads(page.evaluate(READ_ARRAYS))
    return {name: numbers(cells) for name, cells in cells_of.items()}


def read_terms(page, names):
    return json.loads(page.evaluate(READ_TERMS, list(names)))


def kernel_results(arrays, options):
    """y, dx, dw and db as the kernels compute them from the page's x, w, b and dy."""
    x, w, b, dy = (arrays[name] for name in ("x", "w", "b", "dy"))
    options = options | {"algorithm": "direct"}
    return {
        "y": functional.conv2d(x, w, b, **options),
        "dx": functional.conv2d_grad_input(dy, w, x.shape, **options),
        "dw": functional.conv2d_grad_weight(x, dy, w.shape[:2], **options),
        "db": functional.conv2d_grad_bias(dy[np.newaxis]),
    }


def product_of(text, arrays):
    """The value of a term such as ``dy[0,1,0]·w[1,1,0,0]``, looked up here."""
    value = 1.0
    for factor in text.split("·"):
        name, index = re.fullmatch(r"(\w+)\[([\d,]+)\]", factor).groups()
        value *= arrays[name][tuple(map(int, index.split(",")))]
    return value


class TestTerms:
    @pytest.mark.parametrize("name", CASES)
    def test_every_sum_is_its_cell(self, show, name):
        case = CASES[name]
        page = show(explain_case(case))
        arrays = read_arrays(page)
        x, w, dy = case.integers(np.float64)
        for array_name, array in {"x": x[0], "w": w, "dy": dy[0]}.items():
            np.testing.assert_array_equal(arrays[array_name], array)
        results = kernel_results(arrays, case.options)
        told = read_terms(page, results)
        assert len(told) == sum(result.size for result in results.values())
        for array_name, index, value, total, terms, lit in told:
            expected = results[array_name][tuple(map(int, index.split(",")))]
            assert value == total == expected == sum(amount for _, amount in terms)
            for text, amount in terms:
                assert amount == product_of(text, arrays), text
            factors = {factor for text, _ in terms for factor in text.split("·")}
            assert len({text for text, _ in terms}) == len(terms)
            assert set(lit) == factors
        assert f"✓ It computed these arrays; in all {len(told)} cells" in page.text_content(
            "#facts"
        )

    def test_no_term_is_missing(self, show):
        """Each product of the forward pass is in one sum of y, one of dx and one of dw."""
        case = CASES["everything"]
        told = read_terms(show(explain_case(case)), ["y", "dx", "dw"])
        count = dict.fromkeys(("y", "dx", "dw"), 0)
        for array_name, _, _, _, terms, _ in told:
            count[array_name] += sum("·" in text for text, _ in terms)
        ones = np.ones(case.x_shape), np.ones(case.weight_shape)
        products = reference.conv2d(*ones, **case.options).sum()
        assert count == dict.fromkeys(("y", "dx", "dw"), products)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_rounding_is_no_difference_but_a_wrong_number_is(self, show, dtype):
        case = CASES["channels and filters"]
        x, w, dy = (array.astype(dtype) for array in case.reals())
        explanation = explain(x, w, dy, **case.options)
        assert "✓ It computed these arrays" in show(explanation).text_content("#facts")
        wrong = f'"dx":{{"shape":[4,3,2],"values":[{x[0, 0, 0, 0]},'
        explanation.html, changes = re.subn(
            r'"dx":\{"shape":\[4,3,2\],"values":\[[^,]*,', wrong, explanation.html
        )
        assert changes == 1
        facts = show(explanation).text_content("#facts")
        assert "✗ In 1 of 72 cells the terms do not sum" in facts

    def test_numbers_that_are_not_finite(self, show):
        x = np.array([[np.nan, np.inf, 1], [-np.inf, 0, 2], [1e300, -1e-310, 3]])
        page = show(explain(x, np.array([[1, -2], [0, 1e200]]), np.eye(2)))
        arrays = read_arrays(page)
        np.testing.assert_array_equal(arrays["x"][:, :, 0], x)
        assert "✓ It computed these arrays" in page.text_content("#facts")
        texts = page.locator("td[data-array=x]").all_inner_texts()
        assert texts == ["NaN", "∞", "1", "−∞", "0", "2", "1e300", "−1e−310", "3"]

    def test_floats_are_short_in_cells_and_whole_where_one_looks(self, show):
        x = np.array([[0.1, 1 / 3, 1234.5], [1e-7, 99.96, -2e6], [0.125, 5, 12.25]], np.float32)
        page = show(explain(x, np.ones((3, 3), "f"), np.ones((1, 1), "f")))
        cells = page.locator("td[data-array=x]")
        assert cells.all_inner_texts() == [
            "0.1", "0.33", "1235", "1e−7", "100", "−2e6", "0.13", "5", "12.3",
        ]  # fmt: skip
        page.locator("td[data-array=x][data-index='0,1,0']").focus()
        assert page.text_content("#readout") == "x[0,1,0] = 0.33333334"


class TestGeometryInThePage:
    CHANGES = (
        {"stride.0": 2, "stride.1": 3},
        {"padding.0.0": 1, "padding.1.1": 2},
        {"dilation.0": 2, "dilation.1": 1},
        {"groups": 2},
        {"size.0": 4, "kernel.1": 1, "channels": 4, "filters": 6},
    )

    def test_everything_follows(self, show):
        page = show(explain_case(Case((1, 7, 8, 2), (3, 3, 2, 2))))
        page.click("#geometry summary")
        settings = {}
        for change in self.CHANGES:
            settings |= change
            for name, value in change.items():
                page.fill(f"[data-setting='{name}']", str(value))
            sides = [[settings.get(f"padding.{a}.{b}", 0) for b in (0, 1)] for a in (0, 1)]
            options = {
                "stride": [settings.get(f"stride.{axis}", 1) for axis in (0, 1)],
                "padding": sides,
                "dilation": [settings.get(f"dilation.{axis}", 1) for axis in (0, 1)],
                "groups": settings.get("groups", 1),
            }
            arrays = read_arrays(page)
            results = kernel_results(arrays, options)
            for name, result in results.items():
                np.testing.assert_array_equal(arrays[name], result)
            told = read_terms(page, ["y", "dx", "dw", "db"])
            assert all(value == total for _, _, value, total, _, _ in told)
            assert "this page computed" in page.text_content("#facts")
        assert arrays["w"].shape == (3, 1, 2, 6)
        summary = "input 4×8×4 · kernel 3×1 · 6 filters · stride 2×3 · padding 1, 0, 0, 2"
        assert page.text_content("#summary") == f"{summary} · dilation 2×1 · 2 groups"

    def test_the_given_arrays_come_back(self, show):
        page = show(explain_case(CASES["stride and padding"]))
        given = read_arrays(page)
        page.click("#geometry summary")
        assert page.is_disabled("#reset")
        page.fill("[data-setting='stride.0']", "1")
        assert read_arrays(page)["y"].shape != given["y"].shape
        page.click("#reset")
        for name, array in read_arrays(page).items():
            np.testing.assert_array_equal(array, given[name])
        assert "✓ It computed these arrays" in page.text_content("#facts")
        assert page.input_value("[data-setting='stride.0']") == "2"

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("kernel.0", "9", "the kernel covers 9 rows, more than the padded input's 7"),
            ("groups", "3", "3 groups must divide 2 channels and 2 filters"),
            ("stride.1", "0", "Stride, horizontal: a whole number from 1 to 16"),
            ("padding.0.0", "1.5", "Padding, top: a whole number from 0 to 16"),
            ("size.0", "", "Input, height: a whole number from 1 to 64"),
        ],
    )
    def test_what_does_not_fit_is_told_and_changes_nothing(self, show, name, value, message):
        page = show(explain_case(CASES["stride and padding"]))
        before = read_arrays(page)
        page.click("#geometry summary")
        page.fill(f"[data-setting='{name}']", value)
        assert page.text_content("#problem").startswith(message)
        assert page.get_attribute(f"[data-setting='{name}']", "aria-invalid") == "true"
        assert read_arrays(page).keys() == before.keys()
        np.testing.assert_array_equal(read_arrays(page)["dx"], before["dx"])

    def test_one_change_may_mend_another(self, show):
        page = show(explain_case(CASES["3x3"]))
        page.click("#geometry summary")
        page.fill("[data-setting='kernel.0']", "6")
        assert "covers 6 rows" in page.text_content("#problem")
        page.fill("[data-setting='size.0']", "6")
        assert page.text_content("#problem") == ""
        assert page.locator("[aria-invalid]").count() == 0
        assert read_arrays(page)["w"].shape == (6, 3, 1, 1)


class TestFullMode:
    # Of the window over dy and the kernel as it is drawn, in reading order.
    READ = """() => [...document.querySelectorAll("#view td[data-array=dx]")].map((cell) => {
        cell.focus();
        const number = ({ dataset }) => Number(dataset.value ?? 0);
        const windows = [...document.querySelectorAll(".stage")].map((stage) =>
            [...stage.querySelectorAll("td.under")].map(number));
        const kernels = [...document.querySelectorAll(".kernel")].map((kernel) =>
            [...kernel.querySelectorAll("td[data-index]")].map(number));
        return [number(cell), windows, kernels];
    })"""

    @pytest.mark.parametrize(
        "name", ["3x3", "stride and padding", "remainder", "dilation, stride, padding", "depthwise"]
    )
    def test_the_window_times_the_turned_kernel_is_dx(self, show, name):
        case = CASES[name]
        page = show(explain_case(case, view="full"))
        told = page.evaluate(self.READ)
        assert len(told) == case.x_shape[1] * case.x_shape[2]
        taps = case.weight_shape[0] * case.weight_shape[1]
        for value, windows, kernels in told:
            assert {len(entries) for entries in windows + kernels} == {taps}
            turned = [kernel[::-1] for kernel in kernels]
            assert value == np.sum(np.multiply(windows, turned))

    def test_zeros_remainder_and_crop_are_as_many_as_there_must_be(self, show):
        case = Case((1, 6, 8, 1), (3, 2, 1, 1), (2, 3), ((1, 2), (0, 1)))
        page = show(explain_case(case, view="full"))
        geometry = case.geometry
        rows, columns = (
            (out - 1) * stride + 1 + 2 * (window - 1) + remainder
            for out, stride, window, remainder in zip(
                geometry.output_shape[1:3],
                geometry.stride,
                geometry.effective_kernel,
                geometry.remainder,
                strict=True,
            )
        )
        cells = page.locator(".stage td")
        assert cells.count() == rows * columns
        assert page.locator(".stage td[data-array=dy]").count() == np.prod(geometry.output_shape)
        below, beside = geometry.remainder
        assert (below, beside) == (0, 1) or below + beside > 0
        wanted = rows * columns - (rows - below) * (columns - beside)
        assert page.locator(".stage td.remainder").count() == wanted
        assert page.locator(".full-result td.cropped").count() == 9 * 9 - 6 * 8

    def test_the_kernel_is_turned_and_turned_back(self, show):
        page = show(explain_case(CASES["stride and padding"]), reduced_motion="reduce")
        page.click("[data-choice='View:full']")
        first = page.locator(".kernel td").first
        turn = page.locator("#turn")
        corner = """(cell) => {
            const box = cell.getBoundingClientRect();
            const whole = cell.closest("table").getBoundingClientRect();
            const middle = [whole.top + whole.height / 2, whole.left + whole.width / 2];
            return [box.top > middle[0], box.left > middle[1]];
        }"""
        page.wait_for_selector(".turned")
        assert first.evaluate(corner) == [True, True]
        turn.click()
        assert first.evaluate(corner) == [False, False]
        assert turn.get_attribute("aria-pressed") == "false"
        assert first.evaluate("(cell) => getComputedStyle(cell.closest('table')).transition") in (
            "none",
            "none 0s ease 0s",
            "none 0s",
        )

    def test_the_turn_takes_a_moment_where_motion_is_welcome(self, show):
        page = show(explain_case(CASES["3x3"], view="full"), reduced_motion="no-preference")
        style = "() => getComputedStyle(document.querySelector('.kernel')).transitionDuration"
        assert page.evaluate(style) == "1.4s"


@pytest.mark.parametrize("name", ["stride and padding", "groups", "dilation"])
def test_the_matrix_times_the_vector_is_the_result(show, name):
    case = CASES[name]
    page = show(explain_case(case, view="matrix"))
    page.evaluate(READ_ARRAYS)  # all channels
    read = """() => {
        const rows = [...document.querySelector(".matrix").rows].slice(1);
        const number = (cell) => Number(cell.textContent.replace("−", "-") || 0);
        return rows.map((row) => [...row.querySelectorAll("td")].map(number));
    }"""
    x, w, dy = case.integers(np.float64)
    matrix = rot180.conv_matrix(w, case.x_shape[1:], **case.options)
    for direction, expected, vector, extra in (
        ("forward", matrix, x, np.tile(np.arange(1.0, 1 + w.shape[3]), len(matrix) // w.shape[3])),
        ("backward", matrix.T, dy, 0),
    ):
        page.click(f"[data-choice='Direction:{direction}']")
        (across, *rows) = page.evaluate(read)
        np.testing.assert_array_equal(across[:-1], vector.ravel())
        shown = np.array(rows)
        np.testing.assert_array_equal(shown[:, :-1], expected)
        np.testing.assert_array_equal(shown[:, -1], expected @ vector.ravel() + extra)


def taps_of(case):
    """Every (n, i, j, k, r, s, c, p, q): a product of the forward pass, c within its group."""
    geometry = case.geometry
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding
    _, height, width, _ = geometry.input_shape
    for i, j, k, r, s, c in np.ndindex(*geometry.output_shape[1:], *case.weight_shape[:3]):
        p, q = i * sh + r * dh - top, j * sw + s * dw - left
        channel = k // (case.weight_shape[3] // case.groups) * case.weight_shape[2] + c
        if 0 <= p < height and 0 <= q < width:
            yield i, j, k, r, s, c, p, q, channel


def mistaken(name, case, x, w, dy, b):
    """What the mistake computes, written anew."""
    options, geometry = case.options, case.geometry
    images, errors = x[np.newaxis], dy[np.newaxis]
    shape = case.x_shape

    def grad_input(weight=w, errors=errors):
        return reference.conv2d_grad_input(errors, weight, shape, **options)[0]

    def by_definition(**wrong):
        made = test_mistakes.grad_input_by_definition(**wrong)
        known = {name: getattr(geometry, name) for name in ("stride", "padding", "dilation")}
        return made(errors, w, shape, groups=case.groups, **known)[0]

    def grad_weight(**changed):
        return reference.conv2d_grad_weight(images, errors, case.kernel_size, **options | changed)

    if name == "M1":
        return grad_input(w[::-1, ::-1])
    if name == "M2":
        turned = np.rot90(np.rot90(w.transpose(3, 2, 0, 1))).transpose(2, 3, 1, 0)
        return grad_input(turned[::-1, ::-1])
    if name == "M3":
        wide = np.zeros((*w.shape[:2], shape[3]))
        for k in range(w.shape[3]):
            first = k // (w.shape[3] // case.groups) * w.shape[2]
            wide[:, :, first : first + w.shape[2]] += w[:, :, :, k] * dy[:, :, k].sum()
        return wide
    if name == "M4":
        kept = (np.arange(w.shape[3]) + 1) % (w.shape[3] // case.groups) == 0
        return grad_input(errors=np.where(kept, errors, 0))
    if name == "M5":
        wrong = np.zeros_like(w)
        for i, j, k, r, s, c, p, q, channel in taps_of(case):
            if i + r < dy.shape[0] and j + s < dy.shape[1]:
                wrong[r, s, c, k] += x[p, q, channel] * dy[i + r, j + s, k]
        return wrong
    if name == "M6":
        wrong = np.zeros(shape[1:])
        far = np.pad(dy, ((20, 20), (20, 20), (0, 0)), mode="edge")
        (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
        (top, _), (left, _) = geometry.padding
        for p, q, channel, r, s, k in np.ndindex(*shape[1:], *w.shape[:2], w.shape[3]):
            (i, over), (j, beside) = divmod(p + top - r * dh, sh), divmod(q + left - s * dw, sw)
            group, c = divmod(channel, w.shape[2])
            if not over and not beside and k // (w.shape[3] // case.groups) == group:
                wrong[p, q, channel] += far[i + 20, j + 20, k] * w[r, s, c, k]
        return wrong
    if name == "M7":
        return grad_weight() / (dy.shape[0] * dy.shape[1])
    if name == "M9":
        return dy.sum((0, 1)) * (w.shape[0] * w.shape[1])
    if name == "M9 scalar":
        return np.full(dy.shape[2], dy.sum())
    if name == "M11":
        one = np.where(
            np.arange(w.shape[2])[:, np.newaxis] == np.arange(w.shape[3]) % w.shape[2], w, 0
        )
        return reference.conv2d(images, one, b, **options)[0]
    if name == "M12":
        return by_definition(stride_known=False)
    if name == "M12 zeros":
        return by_definition(zeros_between=1)
    if name == "M12 dw":
        wrong = np.zeros_like(w)
        (dh, dw), (top, left) = geometry.dilation, [side[0] for side in geometry.padding]
        for i, j, k, r, s, c in np.ndindex(*dy.shape, *w.shape[:3]):
            p, q = i + r * dh - top, j + s * dw - left
            if 0 <= p < shape[1] and 0 <= q < shape[2]:
                channel = k // (w.shape[3] // case.groups) * w.shape[2] + c
                wrong[r, s, c, k] += x[p, q, channel] * dy[i, j, k]
        return wrong
    if name == "M13":
        return by_definition(remainder=False)
    if name == "M14":
        return by_definition(crop=False)
    if name == "M14 dw":
        (_, bottom), (_, right) = geometry.padding
        (top, _), (left, _) = geometry.padding
        moved = np.pad(images, ((0, 0), (0, top + bottom), (0, left + right), (0, 0)))
        return reference.conv2d_grad_weight(
            moved, errors, case.kernel_size, **options | {"padding": 0}
        )
    if name == "M15":
        return by_definition(dilated=False)
    if name == "M16":
        right = grad_input()
        return right.reshape(shape[2], shape[1], shape[3]).swapaxes(0, 1)
    if name == "M17":
        return grad_input(w.swapaxes(2, 3))
    if name == "M18":
        return grad_input(
            np.roll(w, -(w.shape[3] // case.groups), 3),
            np.roll(errors, -(w.shape[3] // case.groups), 3),
        )
    if name == "M20":
        return grad_weight()[::-1, ::-1]
    if name == "M21":
        wrong = np.zeros(shape[1:])
        latest = {}
        for i, j, k, r, s, c, p, q, channel in taps_of(case):
            if latest.get((p, q)) != (i, j):
                latest[p, q] = (i, j)
                wrong[p, q] = 0
            wrong[p, q, channel] += dy[i, j, k] * w[r, s, c, k]
        return wrong
    raise AssertionError(name)


# Where the mistakes show; M13 without padding, so that what is dropped is dropped of x itself.
MISTAKEN = Case((1, 6, 5, 4), (3, 2, 2, 4), (2, 2), ((1, 1), (1, 1)), (2, 1), 2)
SHOWN_BY = {
    "M13": Case((1, 6, 5, 2), (3, 2, 2, 2), 2),
    "M17": Case((1, 5, 4, 2), (2, 3, 2, 2), 2, 1),
}


class TestMistakes:
    @pytest.mark.parametrize("name", MISTAKES)
    def test_it_shows_what_the_mistake_computes(self, show, name):
        case = SHOWN_BY.get(name, MISTAKEN)
        page = show(explain_case(case, mistake=name))
        arrays = read_arrays(page)
        b = np.arange(1.0, 1 + case.weight_shape[3])
        x, w, dy = case.integers(np.float64)
        expected = mistaken(name, case, x[0], w, dy[0], b)
        np.testing.assert_array_equal(arrays["spoilt"], expected)
        told = read_terms(page, ["spoilt"])
        assert all(value == total for _, _, value, total, _, _ in told)
        for _, _, _, _, terms, _ in told:
            assert all(amount == product_of(text, arrays) for text, amount in terms)

        option = "(select) => select.selectedOptions[0].text.split(':')[0]"
        right = arrays[page.eval_on_selector("#mistake", option)]
        marked = page.locator("td.wrong").count()
        why = page.text_content("#why")
        if expected.shape == right.shape:
            assert marked == np.count_nonzero(expected != right) > 0
            assert f"{marked} of {right.size} cells differ" in why
        else:
            assert f"instead of {'×'.join(map(str, right.shape))}" in why

    def test_where_it_does_not_show_the_page_says_what_it_needs(self, show):
        page = show(explain_case(CASES["3x3"]))
        page.select_option("#mistake", "M12")
        assert "changes nothing: it needs a stride larger than 1." in page.text_content("#why")
        page.select_option("#mistake", "M18")
        assert "changes nothing: it needs more than one group." in page.text_content("#why")
        page.select_option("#mistake", "M17")
        assert "it needs as many filters as channels" in page.text_content("#why")
        page.select_option("#mistake", "")
        assert not page.is_visible("#why")
        assert page.locator("td[data-array=spoilt]").count() == 0

    def test_a_chosen_cell_that_is_no_more_gives_way_to_another(self, show):
        case = Case((1, 5, 5, 2), (3, 3, 2, 2), 1, 1)
        page = show(explain_case(case, mistake="M14"))
        page.click("td[data-array=spoilt][data-index='6,6,1']")
        page.click("#geometry summary")
        page.fill("[data-setting='size.0']", "3")
        assert page.text_content("#cell-name").startswith("dx[1,2,0] = ")
        page.select_option("#mistake", "M17")
        assert "mistaken" in page.text_content("#cell-name")
        page.fill("[data-setting='filters']", "3")
        assert "Not possible here" in page.text_content("#why")
        assert "mistaken" not in page.text_content("#cell-name")

    def test_it_begins_with_a_wrong_cell_that_is_in_view(self, show):
        page = show(explain_case(CASES["stride and padding"]))
        page.click("[data-choice='Channel:1']")
        page.select_option("#mistake", "M1")
        assert re.match(r"dx\[\d,\d,1\], mistaken = ", page.text_content("#cell-name"))

    def test_the_full_mode_view_shows_it_too(self, show):
        case = CASES["stride and padding"]
        page = show(explain_case(case, view="full", mistake="M14"))
        assert page.locator(".full-result td[data-array=spoilt]").count() == 2 * 7 * 7
        page.select_option("#mistake", "M1")
        assert page.locator(".full-result td.wrong").count() > 0
        page.locator("td[data-array=spoilt][data-index='0,1,0']").focus()
        assert page.text_content("#readout").startswith("dx[0,1,0], mistaken = ")
        page.select_option("#mistake", "M20")  # of dw, which is shown elsewhere
        assert page.get_attribute("[data-choice='View:arrays']", "aria-pressed") == "true"

    def test_it_follows_the_geometry(self, show):
        page = show(explain_case(CASES["stride and padding"], mistake="M12"))
        assert page.locator("td.wrong").count() > 0
        page.click("#geometry summary")
        page.fill("[data-setting='stride.0']", "1")
        page.fill("[data-setting='stride.1']", "1")
        assert page.locator("td.wrong").count() == 0
        assert "changes nothing" in page.text_content("#why")


class TestPointer:
    def test_pointing_selects_a_click_holds_and_escape_lets_go(self, show):
        page = show(explain_case(CASES["3x3"]))
        name = page.locator("#cell-name")
        page.hover("td[data-array=y][data-index='0,1,0']")
        assert name.text_content().startswith("y[0,1,0] = ")
        page.click("td[data-array=dx][data-index='1,1,0']")
        page.hover("td[data-array=y][data-index='0,0,0']")
        assert name.text_content().startswith("dx[1,1,0] = ")
        page.keyboard.press("Escape")
        page.hover("td[data-array=y][data-index='0,1,0']")
        assert name.text_content().startswith("y[0,1,0] = ")

    def test_the_same_number_marks_both_cells_of_a_term(self, show):
        page = show(explain_case(CASES["3x3"]))
        page.hover("td[data-array=dx][data-index='2,2,0']")
        for row in page.locator("#terms li").all():
            number = row.locator(".badge").text_content()
            colour = "(cell) => getComputedStyle(cell).backgroundColor"
            wanted = row.locator(".badge").evaluate(colour)
            for factor in row.locator(".product").text_content().split("·"):
                array, index = re.fullmatch(r"(\w+)\[(.*)\]", factor).groups()
                cell = page.locator(f"td[data-array='{array}'][data-index='{index}']")
                assert cell.get_attribute("data-mark") == number
                assert cell.evaluate(colour) == wanted

    def test_in_dx_the_kernel_is_read_backwards(self, show):
        page = show(explain_case(Case((1, 5, 5, 1), (3, 3, 1, 1))))
        page.hover("td[data-array=dx][data-index='2,2,0']")
        marks = "(cells) => cells.map((cell) => Number(cell.dataset.mark))"
        assert page.eval_on_selector_all("td.lit[data-array=w]", marks) == list(range(1, 10))
        assert page.eval_on_selector_all("td.lit[data-array=dy]", marks) == list(range(9, 0, -1))
        page.hover("td[data-array=y][data-index='1,1,0']")
        assert page.eval_on_selector_all("td.lit[data-array=x]", marks) == list(range(1, 10))

    def test_steps_and_play_walk_over_all_cells(self, show):
        page = show(explain_case(CASES["3x3"], cell=("y", (0, 0, 0))), color_scheme="light")
        page.clock.install()
        seen = [page.text_content("#cell-name").split(" ")[0]]
        for _ in range(5):
            page.click("#step")
            seen.append(page.text_content("#cell-name").split(" ")[0])
        assert seen == [f"y[{i},{j},0]" for i in range(2) for j in range(3)]
        page.click("#step")
        assert page.text_content("#cell-name").startswith("y[0,0,0]")
        page.click("#back")
        assert page.text_content("#cell-name").startswith("y[1,2,0]")
        page.click("#play")
        assert page.get_attribute("#play", "aria-pressed") == "true"
        page.clock.run_for(2000)
        assert page.text_content("#cell-name").startswith("y[0,1,0]")
        page.click("#play")
        page.clock.run_for(5000)
        assert page.text_content("#cell-name").startswith("y[0,1,0]")


class TestKeyboard:
    def test_everything_is_reached_and_read_out(self, show):
        from playwright.sync_api import expect

        page = show(explain_case(CASES["stride and padding"]))
        focused = "() => document.activeElement.outerHTML.slice(0, 200)"
        page.keyboard.press("Tab")
        assert "Skip to the arrays" in page.evaluate(focused)
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert 'data-array="x"' in page.evaluate(focused)
        page.locator("td[data-array=dx][tabindex='0']").first.focus()
        place = "() => document.activeElement.dataset.array + document.activeElement.dataset.index"
        walk = {
            "ArrowRight": "0,1,0",
            "ArrowDown": "1,1,0",
            "End": "1,4,0",
            "Home": "1,0,0",
            "ArrowLeft": "1,0,0",
            "Control+End": "4,4,0",
            "Control+Home": "0,0,0",
        }
        for key, index in walk.items():
            page.keyboard.press(key)
            assert page.evaluate(place) == f"dx{index}"
            assert page.text_content("#cell-name").startswith(f"dx[{index}] = ")
        stops = "(table) => table.querySelectorAll('td[tabindex=\"0\"]').length"
        assert {table.evaluate(stops) for table in page.locator("[role=grid]").all()} == {1}
        expect(page.locator("#spoken")).to_contain_text("dx[0,0,0]")
        expect(page.locator("#spoken")).to_contain_text("dy[0,0,0] times w[1,1,0,0]")
        page.keyboard.press("Enter")
        assert page.text_content("#readout") == "Held: Esc lets go."
        page.keyboard.press("Escape")
        assert page.text_content("#readout") == ""

    def test_the_list_of_terms_is_walked_with_arrows(self, show):
        from playwright.sync_api import expect

        page = show(explain_case(CASES["3x3"], cell=("y", (0, 0, 0))))
        page.focus("#terms ol")
        for _ in range(2):
            page.keyboard.press("ArrowDown")
        assert page.locator("#view td.pair").count() == 2
        expect(page.locator("#spoken")).to_have_text("x[0,0,0] times w[0,0,0,0], 3 times (−2)")

    def test_the_focus_is_seen_and_stays_where_a_choice_was_made(self, show):
        page = show(explain_case(CASES["channels and filters"]))
        for choice in ("View:matrix", "Direction:backward", "View:full", "Channel:1"):
            page.focus(f"[data-choice='{choice}']")
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.dataset.choice") == choice
            assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
        assert page.text_content("#cell-name").startswith("dx[")
        assert ",1] = " in page.text_content("#cell-name")


class TestLooks:
    # The least contrast of text with what is behind it, and where.
    CONTRAST = """() => {
        const canvas = document.createElement("canvas");
        const paint = canvas.getContext("2d", { willReadFrequently: true });
        const rgba = (colour) => {
            paint.clearRect(0, 0, 1, 1);
            paint.fillStyle = colour;
            paint.fillRect(0, 0, 1, 1);
            return [...paint.getImageData(0, 0, 1, 1).data];
        };
        const luminance = (colour) => {
            const [r, g, b] = colour.slice(0, 3).map((c) => c / 255)
                .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const background = (element) => {
            const colour = rgba(getComputedStyle(element).backgroundColor);
            const behind = element.parentElement;
            return colour[3] === 255 || !behind ? colour : background(behind);
        };
        let least = [99, ""];
        for (const element of document.querySelectorAll("body *")) {
            const hasText = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
            if (!hasText || element.disabled || !element.checkVisibility()) continue;
            if (element.closest("script, .unseen, .skip")) continue;
            const pair = [rgba(getComputedStyle(element).color), background(element)];
            const [low, high] = pair.map(luminance).sort((a, b) => a - b);
            const contrast = (high + 0.05) / (low + 0.05);
            if (contrast < least[0]) least = [contrast, element.outerHTML.slice(0, 200)];
        }
        return least;
    }"""

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_is_read_in_light_and_dark(self, show, scheme):
        case = Case((1, 6, 5, 2), (3, 3, 2, 2), 2, 1)
        page = show(explain_case(case, mistake="M1"), color_scheme=scheme, reduced_motion="reduce")
        assert page.get_attribute("html", "data-theme") == scheme
        page.click("#geometry summary")
        for view in ("arrays", "full", "matrix"):
            page.click(f"[data-choice='View:{view}']")
            contrast, where = page.evaluate(self.CONTRAST)
            assert contrast >= 4.5, (view, where)
        page.click("#theme")
        assert {page.get_attribute("html", "data-theme"), scheme} == {"light", "dark"}

    @pytest.mark.parametrize("view", ["arrays", "full", "matrix"])
    def test_a_phone_scrolls_down_only(self, show, view):
        case = Case((1, 9, 16, 3), (5, 5, 3, 4), 2, 2)
        explanation = explain_case(case, view=view, mistake="M14" if view == "arrays" else None)
        page = show(explanation, viewport={"width": 360, "height": 740}, has_touch=True)
        page.tap("#geometry summary")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        for selector in ("#step", "#play", "#mistake", "[data-choice='View:matrix']"):
            box = page.locator(selector).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360
        if view == "arrays":
            page.tap("td[data-array=dx] >> nth=0")
            assert page.text_content("#cell-name").startswith("dx[0,0,0] = ")

    def test_everything_has_a_name(self, show):
        page = show(explain_case(CASES["stride and padding"], mistake="M1"))
        for view in ("arrays", "full", "matrix"):
            page.click(f"[data-choice='View:{view}']")
            assert page.locator("table:not([aria-label])").count() == 0
            assert page.locator("td[tabindex]:not([aria-label])").count() == 0
            for role in ("button", "spinbutton", "combobox"):
                unnamed = page.get_by_role(role, name=re.compile(r"^\s*$"))
                assert unnamed.count() == 0, role


def test_a_frame_without_rights_shows_it(show, browser, tmp_path):
    """As a notebook does."""
    frame = explain_case(CASES["3x3"])._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{frame}", "utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    inside = page.frame_locator("iframe")
    assert "✓ It computed these arrays" in inside.locator("#facts").text_content()
    context.close()


def test_the_largest_page_is_there_in_a_moment(show):
    case = Case((1, 28, 28, 1), (5, 5, 1, 6), padding=2)
    page = show(explain_case(case, cell=("y", (14, 14, 3))))
    assert "✓ It computed these arrays" in page.text_content("#facts")
    assert conv2d_geometry(case.x_shape, case.weight_shape, 1, 2).output_shape == (1, 28, 28, 6)
    assert page.evaluate("performance.now()") < 10_000
