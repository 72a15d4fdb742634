"""LaTeX to MathML, which a browser sets without help from anywhere; only marks that set formulas are let through."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markupsafe import Markup, escape

PRIME = "\u2032"
_ELEMENTS = (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mfenced "
    "mtable mtr mtd mpadded mphantom mstyle"
)
_ATTRIBUTES = (
    "display mathvariant stretchy fence form separator accent displaystyle scriptlevel linethickness "
    "columnalign columnspacing rowspacing lspace rspace width height depth minsize maxsize"
)


def mathml(latex: str, *, display: bool = False) -> Markup:
    """A formula as MathML; one that cannot be converted, or would bring foreign marks along, as its own text."""
    try:
        text = convert(latex, display="block" if display else "inline")
        root = ElementTree.fromstring(re.sub(r'\sxmlns="[^"]*"', "", text, count=1))
    except Exception:
        # The converter raises a dozen kinds of its own, and a formula that is shown as text is better than no page.
        return _as_text(latex)
    for node in root.iter():
        if node.tag not in _ELEMENTS.split() or not set(_ATTRIBUTES.split()).issuperset(node.attrib):
            return _as_text(latex)
    _raise_primes(root)
    return Markup(ElementTree.tostring(root, encoding="unicode", short_empty_elements=False))


def _raise_primes(root: ElementTree.Element) -> None:
    """A prime beside its letter, as an operator: set as a superscript, fonts without mathematics lose it."""
    for node in root.iter("msubsup"):
        base, below, above = node
        if above.text == PRIME:
            letter = ElementTree.Element("mrow")
            prime = ElementTree.SubElement(letter, "mo", lspace="0", rspace="0")
            prime.text = PRIME
            letter.insert(0, base)
            node.tag, node[:] = "msub", [letter, below]


def _as_text(latex: str) -> Markup:
    return Markup("<code>{}</code>").format(escape(latex))
