"""The ledger's filter: by words, by verdict, by chapter, and all of it with a keyboard."""

PAGE = "book/claims.html"


def shown(page) -> int:
    return page.locator(".companion-table.claims tbody tr:visible").count()


def test_the_filter_narrows_the_claims_and_says_how_many_are_left(visit, address):
    one = visit(address, PAGE)
    page, form = one.page, one.page.locator(".ledger-filter")
    every = shown(page)
    assert every > 60 and form.locator("output").inner_text() == f"{every} of {every} claims"

    form.get_by_label("Verdict").select_option("refuted")
    refuted = shown(page)
    assert 0 < refuted < every and form.locator("output").inner_text() == f"{refuted} of {every} claims"
    verdicts = page.locator(".companion-table.claims tbody tr:visible td:nth-of-type(2)").all_inner_texts()
    assert set(verdicts) == {"refuted"}

    form.get_by_label("Chapter").select_option(index=2)
    assert 0 < shown(page) < refuted
    assert page.locator("h2:visible", has_text="02").count() == 1 and page.locator("h2:visible").count() == 1

    form.get_by_role("button", name="Show all").press("Enter")
    page.wait_for_timeout(50)
    assert shown(page) == every


def test_words_are_sought_in_the_whole_row(visit, address):
    one = visit(address, PAGE)
    search = one.page.get_by_label("Words")
    search.focus()
    one.page.keyboard.type("batchnorm variance")
    some = one.page.locator(".companion-table.claims tbody tr:visible").all_inner_texts()
    assert some and all("batchnorm" in row.lower() and "variance" in row.lower() for row in some)
    one.page.keyboard.type(" nothingofthekind")
    assert shown(one.page) == 0 and one.page.locator(".ledger-filter output").inner_text().startswith("0 of")


def test_without_scripts_every_claim_stands_there(browser, address):
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{address}/{PAGE}")
        assert shown(page) > 60 and page.locator(".ledger-filter").count() == 0
    finally:
        context.close()
