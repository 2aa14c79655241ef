"""The service's page, used in a real browser."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright
from test_server import live, poster  # noqa: F401

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine to open the page with"),
    pytest.mark.usefixtures("live"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def said() -> list[str]:
    """Hold what the browser complains of, and every address it asks."""
    return []


@pytest.fixture
def page(browser: Browser, live: str, said: list[str]) -> Iterator[Page]:  # noqa: F811
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((live, "blob:")) else said.append(request.url)
        ),
    )
    page.on("filechooser", lambda _: None)  # from now on, lest the first one be missed
    page.goto(live)
    expect(page.locator("#about")).to_contain_text("Network: by colour")
    yield page
    page.close()


def file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": data}


def test_a_chosen_poster_is_answered_with_bars_and_percentages(page: Page, said: list[str]) -> None:
    page.set_input_files("#files", file("red.png", poster()))
    answer = page.locator("article")
    expect(answer.locator("h2")).to_have_text("red.png")
    expect(answer.locator(".verdict")).to_have_text("Comedy")
    expect(answer.locator("tbody tr").first).to_contain_text("Comedy")
    expect(answer.locator("tbody tr").first).to_contain_text("78 %")
    expect(answer.locator(".time")).to_contain_text("ms")
    expect(page.get_by_role("status")).to_have_text("1 of 1 read.")
    assert said == []


def test_several_posters_and_a_broken_one(page: Page, said: list[str]) -> None:
    unsure = poster((120, 100, 10), size=(150, 100))
    files = [file("a.png", poster((0, 200, 0))), file("b.png", b"<html>"), file("c.png", unsure)]
    page.set_input_files("#files", files)
    expect(page.get_by_role("status")).to_have_text("2 of 3 read.")
    first, broken, last = (page.locator("article", has_text=f"{name}.png") for name in "abc")
    names = [page.locator("article h2").nth(place) for place in range(3)]
    assert [name.text_content() for name in names] == ["a.png", "b.png", "c.png"]
    expect(first.locator(".verdict")).to_have_text("Horror")
    expect(broken.locator(".problem")).to_contain_text("no picture that is read here")
    expect(last.locator(".verdict")).to_contain_text("Not sure. Perhaps Comedy")
    expect(last.locator(".warnings")).to_contain_text("shape of a poster")
    # The browser itself reports the answer 415; nothing else is said.
    assert all("415" in line for line in said)
    assert len(said) == 1


DROP = """([kind, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "given.png", {type: "image/png"}));
  const how = kind === "paste" ? {clipboardData: data} : {dataTransfer: data};
  const event = kind === "paste" ? new ClipboardEvent("paste", {...how, bubbles: true})
    : new DragEvent("drop", {...how, bubbles: true, cancelable: true});
  document.getElementById("drop").dispatchEvent(event);
}"""


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_poster_is_dropped_or_pasted(page: Page, said: list[str], kind: str) -> None:
    page.evaluate(DROP, [kind, list(poster())])
    expect(page.locator("article .verdict")).to_have_text("Comedy")
    assert said == []


def test_the_map_says_where_the_network_looked(page: Page, said: list[str]) -> None:
    page.set_input_files("#files", file("red.png", poster()))
    page.get_by_role("button", name="Where does it look?").click()
    picture = page.locator("article canvas")
    expect(picture).to_be_visible()
    expect(picture).to_have_attribute(
        "aria-label", "Covering the top left lowers the chance of Comedy most."
    )
    chosen = page.get_by_label("For the genre")
    expect(chosen).to_be_focused()
    chosen.select_option("Western")
    expect(picture).to_have_attribute(
        "aria-label", "Covering the top left lowers the chance of Western most."
    )
    assert said == []


def test_the_page_is_used_without_a_mouse(page: Page, said: list[str]) -> None:
    page.keyboard.press("Tab")
    expect(page.locator("#files")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([file("red.png", poster())])
    expect(page.locator("article")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Where does it look?")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("For the genre")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("article canvas")).to_be_visible()
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_the_page_is_accessible_narrow_and_wide_light_and_dark(
    page: Page, scheme: Any, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    long = "a-very-long-name-of-a-poster-" * 4
    page.set_input_files("#files", [file(f"{long}.png", poster()), file("b.png", b"<html>")])
    expect(page.get_by_role("status")).to_have_text("1 of 2 read.")
    page.get_by_role("button", name="Where does it look?").click()
    expect(page.locator("article canvas")).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_network_of_drawn_posters_says_so_before_it_is_asked(page: Page) -> None:
    expect(page.locator("#drawn")).to_be_hidden()
    card = page.evaluate("fetch('/v1/model').then((answer) => answer.json())")
    card["card"]["drawn"] = True
    page.route("**/v1/model", lambda route: route.fulfill(json=card))
    page.reload()
    expect(page.locator("#drawn")).to_contain_text("films that do not exist")


def test_a_service_that_is_gone_is_told(page: Page) -> None:
    page.route("**/v1/classify", lambda route: route.abort())
    page.set_input_files("#files", file("red.png", poster()))
    expect(page.locator("article .problem")).to_contain_text("Is it still running?")
