"""Elements of SVG."""

from netslim.report.page.drawings.svg import drawing, tag, text


def test_what_stands_in_an_element_is_escaped() -> None:
    assert tag("text", "<&", class_='"', x=1.25) == '<text class="&#34;" x="1.2">&lt;&amp;</text>'
    assert text(1, 2, "<b>") == '<text x="1" y="2" text-anchor="start" class="">&lt;b&gt;</text>'


def test_a_drawing_has_its_size_only_where_it_is_fixed() -> None:
    assert 'width="10"' not in drawing(10, 5, title="t")
    assert 'width="10" height="5"' in drawing(10, 5, title="t", fixed=True)
    assert 'aria-label="a &#34;b&#34;"' in drawing(10, 5, title='a "b"')
