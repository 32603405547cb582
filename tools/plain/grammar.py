"""The words and shapes of English that the plain reader knows, as patterns."""

import re
from typing import Literal

from duetto.tools.predicate import Operator

SMALL_TALK = re.compile(
    r"\W*(?:(?:hi|hello|hey|thanks?|thank you|thx|(?:good|great|nice|lovely) (?:morning|evening|day|night|one|time"
    r"|weekend)|good ?bye|bye|"
    r"how are you(?: doing)?|how(?:'s| is) it going|i(?:'m| am) (?:good|fine|well|great)|and you|you too|same to you"
    r"|take care|see you|have an?|"
    r"for (?:the|your|all the|all your) (?:help|suggestions?|recommendations?|tips?|ideas?)|(?:it|that|they"
    r"|this) (?:sounds?|looks?) (?:good|great)|"
    r"sounds (?:good|great)|i appreciate (?:it|that|the (?:help|suggestions?|recommendations?))|you(?:'re"
    r"| are) welcome|enjoy|my friend|"
    r"ok|okay|great|good|nice|perfect|awesome|cool|there|now|so much|very much|a lot|lol|haha|man)\b\W*)+",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"\b(?:please|can you|could you|would you|recommend|suggest|show me|give me|find me|find|i(?:'m| am) looking for|"
    r"surprise me|(?:do you have|have you got|(?:is|are) there|what about|how about)(?:\s+any(?:\s+good)?)?|"
    r"looking for|i(?:'d| would) like|i (?:really |also )?(?:like|love|enjoy|prefer)|"
    r"(?:i )?want(?: to (?:see|watch|buy|read|hear))?|i need|something|anything|some|me|"
    r"(?:do you know|any) (?:of )?(?:any )?(?:good|great|other|more)(?= )|(?:any|other|more) (?:suggestions?"
    r"|recommendations?|ideas?|tips?)|"
    r"(?:movie|film|book|product) (?:suggestions?|recommendations?)|what else|to (?:see|watch|find)|"
    r"like (?:that|those|this|these|it|them))\b",
    re.IGNORECASE,
)
AFFECT = re.compile(
    r"\b(?<!would )(?<!will )(?<!did )(?<!do )(?<!might )(?<!should )(?:i(?:'ve)?\s+)?(?:(?:really|absolutely|just|also)\s+)?"
    r"(?:(?P<bad>hated|disliked|(?<=i )(?:hate|dislike)|can'?t stand|"
    r"(?:did not|didn'?t|do not|don'?t)\s+(?:really\s+)?(?:like|enjoy|love|adore)|"
    r"(?:never|not|haven'?t)\s+(?:(?:really|much|particularly)\s+)?(?:liked|loved|enjoyed|adored))"
    r"|(?:loved|liked|enjoyed|adored|(?:(?<=i )|(?<=really )|(?<=also ))(?:love|like|enjoy|adore)))\s+(?P<what>[^.;!?]+)",
    re.IGNORECASE,
)
ALIKE = re.compile(r"\b(?:like|similar to|along the lines of|in the (?:style|spirit) of)\s+(?P<what>[^.;!?]+)", re.IGNORECASE)
UNLIKE = re.compile(
    r"(?:\b(?:not|nothing|never|no|without|avoid|hate|dislike)|n't(?: want| like| show me)?)\s+"
    r"(?:(?:an?|any|another|something|anything|films?|movies?|books?|items?|things?|stuff|more|much|to see|to watch"
    r"|really)\s+)*$",
    re.IGNORECASE,
)
JOINT = re.compile(r"(,\s*and\s+|\s+and\s+|,\s*|\s+but\s+|\s+or\s+)")
MORE = re.compile(r"(?P<joint>,\s*and\s+|\s+and\s+|,\s*|\s+or\s+)(?P<left>.*)", re.DOTALL)
VALUE = r"(?P<what>[\w'&-]+(?:\s+[\w'&-]+){0,3})"
NO_WISH = r"what|that|this|it|in|to|sure|now|today|yet|seen|read|heard|watched|if|because|as|so|going|feeling|here|working"
EXCLUDED = re.compile(
    r"\b(?:no|not(?!\s+(?:" + NO_WISH + r")\b)|without|except|(?:anything|everything|all)\s+but|nothing|avoid|skip|"
    r"(?:please\s+)?stop\s+(?:showing|recommending|suggesting|giving)(?:\s+me)?|enough\s+of(?:\s+the)?|"
    r"(?:i'?m\s+|i am\s+)?(?:tired|sick|bored|fed up)\s+(?:of|with)|"
    r"(?:i\s+)?never\s+(?:(?:ever|again|do|really)\s+)*(?:watch|show|recommend|suggest|give|see|read|buy|want|like"
    r"|enjoy)(?:\s+me)?|"
    r"i\s+(?:(?:really|always|just|also)\s+)*(?:(?:do not|don'?t)\s+(?:(?:really|ever)\s+)*"
    r"(?:like|enjoy|want|watch|read|buy)(?!\s+to\b)|hate|dislike|can'?t stand))\s+"
    r"(?:any\s+|an?\s+|for\s+|too\s+|more\s+|from\s+|by\s+)*" + VALUE,
    re.IGNORECASE,
)
ONLY = re.compile(
    r"\bonly\s+(?:(?:want(?: to (?:see|watch|read))?|watch|like|see|read|buy|show(?: me)?)\s+)?" + VALUE, re.IGNORECASE
)
ONLY_BEHIND = re.compile(r"\b(?:(?:on|in|by|from)\s+)?(?P<what>[\w'&-]+)\s+only\b(?=\s*(?:[.,;!?]|$))", re.IGNORECASE)
FROM = re.compile(r"\b(?:from|by|made by|directed by|(?:of|from) the brand)\s+(?:the\s+)?" + VALUE, re.IGNORECASE)
CLEAR_ALL = re.compile(
    r"(?:^|[.!?,;:])\s*(?:(?:ok(?:ay)?|let'?s|let us|can we|could we|please|i want to|i'd like to|now|no|actually|so"
    r"|and|just)\W+)*(?:start(?:ing)? (?:all )?over|start(?:ing)? (?:again|(?:a )?new|from scratch)|from scratch|"
    r"(?:a )?new (?:search|conversation)|reset(?:\s+everything)?|forget (?:everything|it all|all (?:of )?(?:it|that))"
    r"|clear (?:all|everything))\b",
    re.IGNORECASE,
)
NO_LIMITS = re.compile(
    r"\b(?:no|remove|clear|drop|forget|lift|without)\s+(?:all\s+)?(?:(?:of|the|my|your|any|more)\s+)*"
    r"(?:limits?|filters?|constraints?|restrictions?)\b",
    re.IGNORECASE,
)
CLEAR = re.compile(r"\b(?:forget|drop|ignore|remove|never mind|any)\s+(?:about\s+)?(?:the\s+)?(?P<what>\w+)", re.IGNORECASE)
NOT = (
    r"(?P<no>\b(?:no|not|nothing|without|avoid|(?:i\s+)?(?:never|don'?t|do not)\s+(?:watch|see|read|buy|want|like|enjoy|"
    r"(?:show|recommend|suggest)(?:\s+me)?)|i\s+(?:hate|dislike))\s+"
    r"(?:(?:any|anything|things?|films?|movies?|books?|items?|products?|that(?:'s| is| are))\s+)*)?"
)
DECADE = re.compile(
    NOT + r"(?<!in the )(?<!in )(?<!during the )(?<!during )\b(?:from |of )?(?:the )?(?:(?P<century>1[89]"
    r"|20))?(?P<tens>[0-9])0'?s\b",
    re.IGNORECASE,
)
NUMBER = r"(?P<currency>[$€£])?\s?(?P<n>\d+(?:\.\d+)?)\s?(?P<unit>[a-z$€£]+)?"
BETWEEN = re.compile(
    NOT + r"(?:\b(?:between|from)\s+[$€£]?|[$€£](?=[\d.]+\s*(?:to|-)))(?P<low>\d+(?:\.\d+)?)\s*(?:and|to|-)\s*" + NUMBER,
    re.IGNORECASE,
)
BOUND = re.compile(
    NOT + r"\b(?P<how>under|below|less than|at most|up to|cheaper than|shorter than|before|older than|until|over|above|"
    r"more than|at least|longer than|after|newer than|since|from)\s+" + NUMBER,
    re.IGNORECASE,
)
NUMBER_WORDS = ("one", "two", "three", "four", "five")
USUAL: list[tuple[re.Pattern[str], str]] = [  # ways to say a range, and the one that is read
    (re.compile(r"\b(?:one|an) (?:and a half hours?|hour and a half)\b", re.IGNORECASE), "1.5 hours"),
    *(
        (re.compile(rf"\b{word}(?= (?:hours?|minutes?|dollars?|euros?|pounds?|bucks)\b)", re.IGNORECASE), str(number))
        for number, word in enumerate(NUMBER_WORDS, start=1)
    ),
    (re.compile(r"\b(?<=than )an hour\b|\b(?<=under )an hour\b", re.IGNORECASE), "1 hour"),
    (re.compile(r"\bmax(?:imum)?(?: of)?\s+(?=[$€£]?\d)", re.IGNORECASE), "at most "),
    (re.compile(r"\bmin(?:imum)?(?: of)?\s+(?=[$€£]?\d)", re.IGNORECASE), "at least "),
    (
        re.compile(r"\bfrom (\d{4})(?= (?:on|onwards?|(?:and|or) (?:later|newer|after))\b) (?:\w+ )?\w+", re.IGNORECASE),
        r"since \1",
    ),
    (re.compile(r"([$€£]?\d+(?:\.\d+)?(?: [a-z]+)?) or (?:less|shorter|fewer|cheaper|under)\b", re.IGNORECASE), r"at most \1"),
    (re.compile(r"([$€£]?\d+(?:\.\d+)?(?: [a-z]+)?) or (?:more|longer|later|newer|over)\b", re.IGNORECASE), r"at least \1"),
]
OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(("under", "below", "less than", "cheaper than", "shorter than", "before", "older than"), "lt"),
    **dict.fromkeys(("at most", "up to", "until"), "le"),
    **dict.fromkeys(("over", "above", "more than", "longer than", "after", "newer than"), "gt"),
    **dict.fromkeys(("at least", "since"), "ge"),
    "from": "eq",
}
OPPOSITE: dict[Operator, Operator] = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne"}
TIME_ONLY = {"before", "older than", "until", "after", "newer than", "since", "from"}
LENGTHS = ("minutes", "runtime", "duration", "length")
LOOSE_ENDS = re.compile(
    r"^(?:(?:and|but|or|then|an?|ok|okay|well|hmm+|so|actually|yes|yeah|oh|hi|hello|hey|thanks|thank you|a|an|the|i'm"
    r"|great)\b\W*)+"
    r"|(?:\W*\b(?:and|but|or|that|which|is|are|then|instead|though|too|from|of|with))+$",
    re.IGNORECASE,
)
MONEY = ("$", "€", "£", "dollars", "euros", "pounds", "usd", "eur", "bucks")
TIMES = ("hour", "hours", "h", "minute", "minutes", "min", "mins")
SYNONYMS = (("science fiction", "sci-fi", "sci fi", "scifi"), ("animation", "animated"))
MOST_VALUES = 20_000

# Orders along a column.
EXTREMES: dict[tuple[str, Literal["highest", "lowest"]], tuple[str, ...]] = {
    ("time", "highest"): ("newest", "newer", "latest", "most recent", "more recent", "recent", "more modern", "more current"),
    ("time", "lowest"): ("oldest", "older", "earliest", "earlier"),
    ("price", "lowest"): ("cheapest", "cheaper", "least expensive", "less expensive", "lowest price", "lower price"),
    ("price", "highest"): ("most expensive", "more expensive", "priciest", "pricier", "dearest", "highest price"),
    ("length", "highest"): ("longest", "longer"),
    ("length", "lowest"): ("shortest", "shorter"),
    ("rating", "highest"): ("best rated", "highest rated", "better rated", "top rated"),
    ("rating", "lowest"): ("worst rated", "lowest rated"),
}
ENDS: dict[str, Literal["highest", "lowest"]] = {
    **dict.fromkeys(("highest", "higher", "most", "more", "largest", "greatest", "biggest"), "highest"),
    **dict.fromkeys(("lowest", "lower", "least", "fewest", "less", "smallest"), "lowest"),
}
ABOUT = {
    "year": ("year", "date", "decade", "era", "age"),
    "price": ("price", "budget", "cost", "money"),
    "length": ("length", "runtime", "duration", "time"),
}
ORDERED = "|".join(sorted((re.escape(word) for words in EXTREMES.values() for word in words), key=len, reverse=True))
LEANING = re.compile(
    r"\b(?:(?:a\s+bit|a\s+little|much|even|rather|preferably|ideally|the|sort(?:ed)? by)\s+)*(?P<word>" + ORDERED + r")"
    r"(?:\s+(?:first|ones?|please))?\b(?!\s+than\s+[$€£]?\d)",
    re.IGNORECASE,
)
