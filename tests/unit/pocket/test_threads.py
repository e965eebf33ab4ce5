import pytest

from outlay.pocket import threads
from outlay.pocket.threads import one_thread


def test_products_run_on_one_thread_until_the_last_holder_leaves():
    library = threads._openblas()
    if library is None:
        pytest.skip("this numpy brings no OpenBLAS of its own")
    count = library.scipy_openblas_get_num_threads64_
    before = count()
    with one_thread():
        with pytest.raises(ArithmeticError), one_thread():
            raise ArithmeticError
        assert count() == 1
    assert count() == before


def test_without_openblas_nothing_happens(monkeypatch):
    monkeypatch.setattr(threads, "_openblas", lambda: None)
    with one_thread():
        pass
