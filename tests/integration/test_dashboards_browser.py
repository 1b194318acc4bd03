"""The pages as a person uses them: a browser, Airflow's own login and navigation, the real stack.

Skips where the machine has no Chromium with its driver (Debian: `chromium`, `chromium-driver`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from strefer_core import local
from strefer_core.drop import DropReport
from tests.integration import scenes
from tests.integration.platform_drops import deliver, forget_everything, rows

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with its chromedriver on this machine"),
]

WAIT_S = 60.0
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1600,1200",
)  # fmt: skip

T = TypeVar("T")


class Person:
    """Somebody before a browser."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def wait(self, look: Callable[[], T]) -> T:
        """What `look` finds, as soon as it finds anything."""
        return WebDriverWait(self.browser, WAIT_S, ignored_exceptions=[Exception]).until(lambda _: look())

    def find(self, css: str, text: str = "") -> WebElement:
        """The first visible element, one with this text in it."""

        def look() -> WebElement | None:
            found = self.browser.find_elements(By.CSS_SELECTOR, css)
            return next((one for one in found if one.is_displayed() and text in one.text), None)

        return self.wait(look)

    def click(self, css: str, text: str = "") -> None:
        self.find(css, text).click()

    def press(self, key: str) -> None:
        """Type a key where the focus is, as a keyboard does."""
        webdriver.ActionChains(self.browser).send_keys(key).perform()

    def log_in(self, info: local.StackInfo) -> None:
        self.browser.get(f"{self.url}/strefer/")
        self.find("input[name=username]").send_keys(info.airflow_user)
        self.find("input[name=password]").send_keys(info.airflow_password, Keys.RETURN)
        assert self.find("h1").text == "Overview"  # sent back to where the login was asked for

    def open_from_nav(self, name: str) -> None:
        """One of our pages through Airflow's navigation; then work inside its frame."""
        self.browser.switch_to.default_content()
        self.browser.get(f"{self.url}/")
        self.click("button", "Plugins")
        self.click("[role=menuitem]", "Strefer")
        self.click("a[role=menuitem]", name)
        self.enter_frame()

    def enter_frame(self) -> None:
        self.browser.switch_to.frame(self.find("iframe"))

    def errors(self) -> list[str]:
        """What scripts and the content policy complained about."""
        found = self.browser.get_log("browser")
        return [
            one["message"] for one in found if one["level"] == "SEVERE" and "favicon" not in one["message"]
        ]


@pytest.fixture(scope="module")
def report(stack: local.StackInfo, tmp_path_factory: pytest.TempPathFactory) -> DropReport:
    """A drop of two videos and a broken file, taken in whole."""
    forget_everything()
    folder = tmp_path_factory.mktemp("pages")
    for seed in range(2):
        scenes.write_scene(folder / f"scene-{seed}.mp4", seed)
    (folder / "broken.mp4").write_bytes(b"no video")
    return deliver("pages", folder, failure_tolerance=0.5)


@pytest.fixture
def person(stack: local.StackInfo, report: DropReport, tmp_path: Path) -> Iterator[Person]:
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    assert CHROMIUM
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        somebody = Person(browser, str(stack.airflow_url))
        somebody.log_in(stack)
        yield somebody
    finally:
        browser.quit()


def test_every_page_opens_from_the_navigation(person: Person) -> None:
    headings = {
        "Overview": "Overview",
        "Drops": "Drop pages",
        "Quality": "Quality",
        "Videos": "Videos",
        "Review": "Review",
        "Datasets": "Datasets",
        "Models": "Models",
    }
    for name, heading in headings.items():
        person.open_from_nav(name)
        assert person.find("h1").text == heading
    assert person.errors() == []


def test_from_a_chart_to_the_drop_to_a_video_to_a_pair_to_its_mask(person: Person) -> None:
    person.open_from_nav("Overview")
    person.wait(lambda: person.browser.find_elements(By.CSS_SELECTOR, "[data-figure] .bars .point"))
    bar = person.browser.find_element(By.CSS_SELECTOR, "[data-figure] .bars .point path")
    webdriver.ActionChains(person.browser).move_to_element(bar).pause(0.5).click().perform()
    person.wait(lambda: person.find("h1").text == "Drop pages")
    person.click("a", "its videos")
    person.find("h1", "Videos")
    show_only(person, "failed")
    assert person.find("tbody tr").text.startswith("broken.mp4")
    show_only(person, "through")
    person.click("tbody a", "scene-0.mp4")
    person.find("h1", "scene-0.mp4")
    person.click("a.more", "lineage")
    person.find("h2", "Made from")
    person.click(".strip a.seen")
    is_drawn = "return arguments[0].complete && arguments[0].naturalWidth"
    mask = person.find(".stage img.mask")
    frame = person.find(".stage img.frame")
    person.wait(lambda: person.browser.execute_script(is_drawn, mask))
    width = person.browser.execute_script(is_drawn, frame)
    assert person.browser.execute_script(is_drawn, mask) == width == 320
    entity = mask.get_attribute("data-entity")
    person.click(f'.entities input[data-entity="{entity}"]')
    person.wait(lambda: not person.browser.find_elements(By.CSS_SELECTOR, f'.mask[data-entity="{entity}"]'))
    assert person.errors() == []


def show_only(person: Person, state: str) -> None:
    """Filter the list of videos, and wait until the filtered list has come."""
    Select(person.find("select[name=state]")).select_by_visible_text(state)
    person.click("form.filters button")
    asked = "return window.location.search"
    person.wait(lambda: f"state={state}" in person.browser.execute_script(asked))


def test_three_reviews_by_keyboard_are_rows(person: Person) -> None:
    before = len(rows("select from reviews"))
    person.open_from_nav("Review")
    shown = []
    for keys in ("a", "r"):
        shown.append(pair_shown(person))
        person.press(keys)
        person.wait(lambda: pair_shown(person) != shown[-1])
    person.press("k")
    person.wait(lambda: pair_shown(person) == shown[1])
    person.press("j")
    person.wait(lambda: pair_shown(person) != shown[1])
    shown.append(pair_shown(person))
    person.press("f")
    area = person.find("#fix textarea")
    old = area.get_property("value")
    area.send_keys(" Indeed.", Keys.CONTROL, Keys.RETURN)
    person.wait(lambda: pair_shown(person) != shown[2])
    found = rows("select instruction_id, decision, reviewer, turns from reviews order by number")[before:]
    assert [(row["instruction_id"], row["decision"]) for row in found] == list(
        zip(shown, ["accept", "reject", "fix"], strict=True)
    )
    assert {row["reviewer"] for row in found} == {"admin"}
    assert found[2]["turns"][-1]["text"] == f"{old} Indeed."
    assert person.errors() == []


def pair_shown(person: Person) -> str:
    return str(person.find("#pair[data-instruction]").get_attribute("data-instruction"))


def test_a_run_leads_to_its_drop(person: Person, report: DropReport) -> None:
    for run in report.runs:
        person.browser.switch_to.default_content()
        person.browser.get(f"{run['url']}/plugin/strefer-dag-run")
        person.enter_frame()
        assert person.find("h1").text == "Drop pages", run["dag_id"]
