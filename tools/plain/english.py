"""Whether a message may be English, for a reader that reads nothing else."""

import re

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

# The commonest small words of German, French, Spanish, Italian, Portuguese and Dutch that are no words of English titles.
_SMALL = """
    aber auch auf das dem der des ein eine einen etwas für ich ist kein keine mir mit nicht oder und von wie zum zur
    au aux avec ce ces cette dans elle est et il je les leur mais mon ne nous pas pour que qui quelque sur une vous
    algo como del ella es esta este las los muy para pero por porque quiero se sin su y yo
    che ci della gli io mi non per più qualcosa sono
    dos eu mais meu não os são sem seu uma você
    dat een er geen het iets ik maar met mij niet ook te voor wat zijn
"""
FOREIGN = frozenset(_SMALL.split()) - ENGLISH_STOP_WORDS


def may_be_english(message: str) -> bool:
    """False where most letters are of another script, or small words of another language stand in it."""
    letters = [letter for letter in message if letter.isalpha()]
    if sum(letter > "\u024f" for letter in letters) > len(letters) / 2:
        return False
    words = re.findall(r"[^\W\d_]+", message.lower())
    foreign = {word for word in words if word in FOREIGN}
    english = any(word in ENGLISH_STOP_WORDS for word in words)
    return len(foreign) < 2 and not (foreign and len(words) >= 3 and not english)
