"""Figures keep no global state, so that threads can draw at the same time."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from zoo.figures.curves import learning_curve
from zoo.figures.style import choose_line_style, create_figure, shorten


def test_pyplot_is_never_imported():
    names = "curves", "classes", "numbers", "style"
    code = "".join(f"import zoo.figures.{name}; " for name in names)
    code += "import sys; assert not {'matplotlib.pyplot', 'tensorflow', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_draw_the_same_as_one():
    def draw(_):
        buffer = io.BytesIO()
        learning_curve({"loss": [3, 2, 1]}, best_epoch=3).savefig(buffer, format="png", dpi=40)
        return buffer.getvalue()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, range(8))) == {draw(0)}


def test_lines_differ():
    assert len({choose_line_style(index) for index in range(28)}) == 28
    assert choose_line_style(28) == choose_line_style(0)


def test_panels_are_white_and_shared():
    for beside in (False, True):
        figure, panels = create_figure(3, beside=beside)
        assert figure.get_facecolor() == (1, 1, 1, 1)
        axis = "y" if beside else "x"
        assert panels[0].get_shared_y_axes().joined(*panels[:2]) == (axis == "y")
        assert panels[0].get_shared_x_axes().joined(*panels[:2]) == (axis == "x")


def test_shorten_keeps_both_ends():
    assert shorten("abcdefghij", 5) == "ab…ij"
    assert shorten("short") == "short"
    assert shorten("two\nlines") == "two lines"
