"""A simplification rule of one's own, as text, and one that only looks true."""

import graphc as gx

powers = gx.passes.rules("""
cube: pow(x: float, 3) => multiply(x, multiply(x, x))
three_halves: pow(x, 1.5) => multiply(x, sqrt(x))
halves: exp(multiply(x, c: constant)) => pow(exp(x), c) if is_whole(c)
""", name="powers", is_whole=lambda c: float(c.attrs["value"]).is_integer())  # fmt: skip

wrong = gx.passes.rules("itself: divide(x, x) => 1")  # 0 / 0 and inf / inf are NaN


def main(backend: str = "llvm") -> str:
    """What the checker says of the wrong rule."""
    x = gx.placeholder("x", ("n",), "float64")
    gx.testing.check_rules(powers, gx.exp(x * 2.0), exact=False)  # true of real numbers, and nearly of floats
    f = gx.compile([x], x**1.5 + x**3, passes=(*gx.passes.DEFAULT, powers), backend=backend)
    print(f.graph)
    assert abs(f([4.0])[0] - 72) < 1e-9
    try:
        gx.testing.check_rules(wrong)
    except AssertionError as error:
        return str(error)
    raise AssertionError("the checker believes that x / x is 1")


if __name__ == "__main__":
    print(main())
