"""How people point at items: by place, by description, by what stands out."""

import re

ORDINALS = {
    **dict(
        zip(
            ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"],
            range(1, 11),
            strict=True,
        )
    ),
    **dict(zip(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], range(1, 11), strict=True)),
}
NUMBERS = dict(zip(["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], range(2, 11), strict=True))
NOUN = r"(?:ones?|films?|movies?|books?|items?|products?|titles?|picks?|recommendations?|suggestions?|results?|things?)"
ANY_NOUN = re.compile(NOUN, re.IGNORECASE)
EARLY = r"(?:\s+(?:of|from|in)\s+(?:the|your)\s+(?P<early>first|earlier|earliest)\s+(?:list|answer|recommendations?))?"
ORDINAL = re.compile(
    r"(?:(?:the|your|that)\s+)?(?:(?P<mark>#|number\s+|no\.\s*|nr\.?\s*)?"
    r"(?:(?P<word>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last)(?:\s+"
    + NOUN
    + r"(?!\s+(?:i|we|in the (?:series|trilogy|saga))\b)"
    r"|(?=\s*(?:[,.;:!?]|$|"
    r"(?:and|or|but|is|was|with|then|instead|please|from|of|in|too)\b)))"
    r"|(?P<number>\d{1,3}(?:st|nd|rd|th)?)(?P<noun>\s+"
    + NOUN
    + r")?(?=\s*(?:[,.;:!?]|$|(?:and|or|but|is|was|then|please|of)\b))))"
    + EARLY,
    re.IGNORECASE,
)
FEW = re.compile(
    r"(?:(?:the\s+)?(?P<end>first|last)\s+(?P<count>two|three|four|five|six|seven|eight|nine|ten|\d{1,2})(?:\s+" + NOUN + r")?"
    r"|(?P<all>all(?:\s+of)?(?:\s+(?:them|these|those))?|every one of (?:them|these|those))(?=\s*(?:[,.;:!?]|$)))",
    re.IGNORECASE,
)
PRONOUN = re.compile(
    r"(?:(?P<many>these|those|them|they|both(?:\s+of\s+(?:them|these|those))?)(?:\s+" + NOUN + r"|\s+all)?\b"
    r"|(?i:that|this)\s+" + NOUN + r"\b|it\b(?!\s+(?:is|'s)\s+(?:about|important)|\s+(?:when|if|for|to)\b)"
    r"|(?:that|this)(?=\s*(?:[,.;:!?]|$|(?:and|or|but|is|was|then|instead|please|already|so|too|very|a lot|for|because)\b)))"
)
SUPERLATIVE_ONE = re.compile(
    r"the\s+(?P<word>oldest|newest|latest|most recent|earliest|cheapest|least expensive|most expensive|priciest"
    r"|longest|shortest|"
    r"best rated|highest rated|lowest rated)(?:\s+" + NOUN + r"|\s+(?:of|among)\s+(?:them|these|those)"
    r"|(?=\s*(?:[,.;:!?]|$)))(?:\s+(?:of|among)\s+(?:them|these|those))?",
    re.IGNORECASE,
)
DESCRIBED = re.compile(
    r"(?:the|that)\s+(?:"
    + NOUN
    + r"\s+(?:with|about|from|by|in|of|starring|directed by|where)\s+(?P<e>[^,.;:!?]+?)(?=\s*(?:[,.;:!?]|$|"
    r"\b(?:and|but|then|instead|please)\b))"
    r"|(?P<d>(?!first|second|third|last|other|same|next|right|wrong|best|only)[\w'’-]+(?:\s+[\w'’-]+){0,2}?)\s+"
    r"(?:one|film|movie|book|item|product)\b)(?P<early>\s+(?:you\s+)?(?:showed|mentioned|recommended"
    r"|from)\s+(?:me\s+)?(?:earlier|before|first|at first))?",
    re.IGNORECASE,
)
DESCRIBED_BARE = re.compile(
    r"(?:the|that)\s+(?P<d>[\w'’-]+)(?=\s*(?:[,.;:!?]|$|(?:and|but|then|instead|please|is|was)\b))", re.IGNORECASE
)
