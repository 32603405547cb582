"""What kind of turn a message is, by the shapes of English. The group `what` is the phrase that it is about."""

import re

from duetto.tools.plain.grammar import ORDERED

WHAT = r"(?P<what>[^?!]+?)"
END = r"\s*[?.!]*\s*$"
# How limits are taken off by their own words, as a button beside them does.
LIFT = re.compile(
    r"(?:please\s+)?(?:lift|drop|remove|forget)\s+(?:the\s+(?:limit|filter)s?\s+)?[“\"](?P<said>.+)[”\"]\W*", re.IGNORECASE
)
BETWEEN = re.compile(r"[”\"]\s*(?:,?\s*and|,)\s*[“\"]", re.IGNORECASE)  # of several limits, the words
UNDO = re.compile(
    r"\W*(?:(?:oh|oops|no|sorry|wait|ok|please|actually)\W+)*(?:undo(?:\s+(?:that|it|this|the last (?:one|step|change)))?|"
    r"go back|take (?:that|it) back|scratch that|never ?mind(?:\s+that)?|revert(?:\s+that)?|(?:forget"
    r"|cancel) that(?: last (?:one|part|bit))?)"
    r"(?:\W+please)?\W*",
    re.IGNORECASE,
)
CHAT = re.compile(
    r"\W*(?:(?:no (?:problem|worries|rush|doubt|matter|thanks|thank you)|not (?:sure|bad|really|yet|at all)(?: yet)?|"
    r"maybe|perhaps|sure|yes|yeah|yep|no|nope|nah|hm+|um+|lol|(?:ha)+|perfect|nice|wow|good|fine|all ?right|got it|i see|"
    r"sounds (?:good|great)|please|what'?s up|how'?s it going|(?:that'?s|this is|it'?s) (?:not|n't) (?:what|it)"
    r"(?: i (?:meant|mean|wanted|want|said|asked(?: for)?))?|i (?:love|hate) you|i(?:'m| am) (?:bored|tired|sad|fine|good|ok)|"
    r"i (?:know|understand)|(?:i(?:'m| am) )?not in the mood|well|ok(?:ay)?|so|but|oh|thanks)\b\W*)+",
    re.IGNORECASE,
)
NO_IDEA = re.compile(
    r"\W*(?:(?:well|hm+|um+|sorry|honestly|oh)\W+)*(?:(?:i )?(?:really )?(?:don'?t|do not) (?:really )?know|idk|dunno|"
    r"(?:i(?:'ve| have)? )?no (?:clue|idea)|(?:i(?:'m| am) )?not sure)(?: yet| really)?(?: what (?:to|i want to|i'd like to)"
    r" (?:watch|see|read|buy|get))?\W*",
    re.IGNORECASE,
)
NOT_HAD = re.compile(
    r"\b(?:i(?:'ve| have)?\s+)?(?:(?:have not|haven'?t|had not|hadn'?t|did not|didn'?t|never|not)\s+)+"
    r"(?:(?:actually|even|yet|ever)\s+)*"
    r"(?:seen|see|saw|watched|watch|read|heard (?:of|about)|hear of|heard|bought|tried|played|own|had)\s+(?P<what>[^.;!?]+)",
    re.IGNORECASE,
)
PROFILE = re.compile(
    r"\b(?:what (?:do|did) you (?:know|remember|think you know) (?:about|of) (?:me|my)|(?:show|see|tell me|what(?:'s"
    r"| is| are)) (?:me )?my "
    r"(?:profile|preferences|tastes?|likes|dislikes|history|limits|filters|constraints)|"
    r"what (?:limits|filters|constraints) (?:are|do|have)\b|what have i (?:liked|disliked|seen|told you|said)|who am i\b)",
    re.IGNORECASE,
)
COUNT = re.compile(
    r"\b(?:how many|what number of)\s+"
    + WHAT
    + r"(?:\s+(?:do you (?:have|carry|know|offer|sell)|are there|is there|have you(?: got)?)\b"
    + WHAT.replace("what", "more")
    + r"?)?"
    + END,
    re.IGNORECASE,
)
MEASURED = re.compile(
    r"\w+\s+(?:long\s+)?(?:is|are|was|does|do|has)\s+(?P<what>.+?)(?:\s+(?:have|last|take|run))?$", re.IGNORECASE
)
UNCOUNTED = re.compile(r"\b(?:did|does|do|win|won|people|times|i|my|we|us)\b", re.IGNORECASE)
TAKES = re.compile(
    r"[^\w#]*(?:(?:ok(?:ay)?|well|hm+|great|nice|then|yes|cool)[^\w#]+)*"
    r"(?:(?:i'?ll|i will|i'd|i would|let'?s|let me|i think i'?ll|i want) (?:like )?(?:to )?"
    r"(?:take|watch|see|try|pick|choose|read|buy|get|go (?:with|for)|have)\s+)?(?P<what>[^?!.;,]+?)"
    r"(?:\s+(?:sounds?|looks?|seems?)\b[^?!.]*)?(?:\s+(?:please|then|it is))?[\s.!]*",
    re.IGNORECASE,
)
EXTREME = re.compile(
    r"\b(?:what(?:'s| is| are| was)|which(?:\s+\w+)?\s+(?:is|are|was)|tell me|name|show me|do you know)\s+(?:your|the"
    r"|our)\s+(?:very\s+)?"
    r"(?P<word>" + ORDERED + r"|(?:highest|lowest|largest|smallest)\s+\w+)(?P<what>[^?!.]*)" + END,
    re.IGNORECASE,
)
OF_SHOWN = re.compile(
    r"\b(?:of|among|from)\s+(?:these|those|them|the(?:se)? (?:list|ones?|films?|movies?|items?))\b|^\s*(?:one"
    r"|of (?:the )?list)?\s*$",
    re.IGNORECASE,
)
WHY_NOT = re.compile(
    r"\b(?:why\s+not|why\s+(?:is|are|was|did|do|does|have|has)(?:n't| not|\s+you\s+not|\s+there\s+no"
    r"|n't\s+you(?:\s+\w+)?)|why\s+no|how come (?:no|not)|"
    r"why\s+(?:don't|didn't|haven't|won't) you (?:recommend|show|suggest|list|pick|have))\s+(?:(?:recommend|show"
    r"|suggest|list|include|given?|pick)(?:ed)?\s+(?:me\s+)?)?"
    + WHAT
    + r"(?:\s+(?:there|here|listed|shown|included|recommended|on (?:the|your) list|in (?:the|your) list))?"
    + END,
    re.IGNORECASE,
)
WHY_MISSING = re.compile(
    r"\bwhy\s+(?:is|was|are|were)\s+" + WHAT + r"\s+(?:not|missing|absent|left out|gone|excluded)\b[^?!]*" + END, re.IGNORECASE
)
WHY = re.compile(
    r"\b(?:why|how come|explain|for what reason)\b\s*(?:(?:did|do|would|are|is|was"
    r"|should)\s+)?(?:you\s+)?(?:(?:recommend|suggest|show|pick|choose|give|list|think)(?:ed|ing)?\s+(?:me\s+)?)?"
    + WHAT
    + r"?(?:\s+(?:recommended|suggested|listed|shown|there|here|first|on (?:the|your) list|for me"
    r"|(?:a )?good(?: (?:fit|match|choice))?(?: for me)?))?" + END,
    re.IGNORECASE,
)
WHICH_OF = re.compile(
    r"\b(?:which|what)(?:\s+(?:one|of (?:these|those|them)))*\s+(?:is|was|are)\s+(?:the\s+)?(?P<word>" + ORDERED + r")"
    r"(?:\s+(?:one|of (?:these|those|them)))?" + END,
    re.IGNORECASE,
)
COMPARE = re.compile(
    r"\b(?:compare|(?:what(?:'s| is) the )?differences? between|what sets apart)\s+(?P<one>[^?!]+?)\s+(?:and|with|to"
    r"|vs\.?|versus|or)\s+(?P<two>[^?!]+?)" + END + r"|\b(?:which (?:one )?(?:is|would be) (?:the )?(?:better|best)|what(?:'s"
    r"| is) better)\s*[,:]?\s*(?P<three>[^?!]+?)\s+or\s+(?P<four>[^?!]+?)"
    + END
    + r"|^\s*(?P<five>[^?!]+?)\s+(?:vs\.?|versus)\s+(?P<six>[^?!]+?)"
    + END
    + r"|\bcompare\s+(?P<all>them|these|those|both|the first (?:two|three))"
    + END,
    re.IGNORECASE,
)
MORE_OF_IT = re.compile(
    r"\W*(?:please\W+)?(?:tell me (?:some )?more|more details?|details|go on|more about (?:it|that))\W*", re.IGNORECASE
)
AND_THAT = re.compile(r"\W*and\s+(?P<what>[^?!.]{1,60}?)\s*\?+\W*", re.IGNORECASE)
TELL = re.compile(
    r"\b(?:(?:tell|say) (?:me )?(?:some(?:thing)? )?(?:more )?(?:about|of)|more (?:about|on|info(?:rmation)? (?:about"
    r"|on)|details (?:about|on|of))|details (?:about|on|of)|"
    r"describe|what do you know about|what about|how about|do you (?:have|carry|know|sell)|have you got|is there)\s+"
    + WHAT
    + END,
    re.IGNORECASE,
)
ASKS = re.compile(
    r"^\W*(?:(?:and|so|ok|hm+)\W+)?(?:what(?:'s| is| was)|who(?:'s| is| was)?(?: (?:directed|made|wrote|plays|stars"
    r"|starred)(?: in)?)?|when(?:'s| is| was)|"
    r"how (?:long|old|much|expensive|short|good)(?:'s| is| was| does)?|"
    r"(?:would|will|do you think) i(?: would|'d|'ll| will)? (?:like|love|enjoy)|what (?:year|genres?|price|kind of \w+"
    r"|sort of \w+)(?: (?:is|was))?|"
    r"where(?:'s| is| was)|is|was|does|are|can)\s+" + WHAT + END,
    re.IGNORECASE,
)
OFFERS = re.compile(r"(?:what|how) about|do you|have you|is there", re.IGNORECASE)
FRONTED = re.compile(  # "the oldest one, what is it about?" asks what the oldest one is about
    r"^\W*(?P<what>[^,;:.!?]+)\s*[,;:-]\s*(?P<asks>(?:what|who|when|why|how|is|was|does|did|tell)\b[^,;:.!?]*?\b)it\b"
    r"(?P<rest>[^,;:.!?]*\W*)$",
    re.IGNORECASE,
)
HAVE = re.compile(r"\b(?:do you (?:have|carry|know|sell)|have you got|is there)\b", re.IGNORECASE)
SEEN = re.compile(
    r"\b(?:i(?:'ve| have)?\s+(?:(?:already|also|just|both)\s+)*(?:seen|watched|read|heard|own|have|bought|got|know"
    r"|played|tried|saw|had)(?:\s+already)?|already (?:seen|watched|read|own|have|bought|got|saw))\s+"
    r"(?P<what>[^.;!?]+)",
    re.IGNORECASE,
)
UNINTERESTED = re.compile(
    r"\b(?:(?:never|(?:please\s+)?don't ever|stop) (?:recommend|show|suggest)(?:ing)?(?: me)?|"
    r"(?:i(?:'m| am)\s+)?(?:really\s+)?not (?:interested in|into|keen on|in the mood for|a fan of)|not|skip"
    r"|remove|hide|drop|"
    r"no more of|i don't want(?: to (?:see|watch|read|buy))?|don't (?:show|recommend|suggest)(?: me)?)\s+(?P<what>[^.;!?]+)",
    re.IGNORECASE,
)
OTHERS = re.compile(  # somebody else's opinion
    r"\b(?:who|you|they|he|she|we|everyone|everybody|nobody|people|critics|wife|husband|partner|friends?|kids?|son|daughter|mother"
    r"|father|mom|dad|brother|sister)(?:'ve)?\s+(?:(?:who|all|also|really|have|has|had)\s+)*$",
    re.IGNORECASE,
)
HEARSAY = re.compile(r"\s*(?:is|was|are|were|has|might|may|could|would|should|must)\b", re.IGNORECASE)
EMPHASIS = re.compile(
    r"(?:\s+(?:again|any ?more|ever|please|so much|very much|a lot|at all|though|too|already|the most|best))+\s*$", re.IGNORECASE
)
NOT_FOR_ME = re.compile(
    r"(?P<what>[^.;!?,]{1,80}?)\s*(?:n't|'s not|\b(?:is|are|was|were) not)\s+(?:really\s+)?(?:for me|my (?:thing|cup of tea)"
    r"|interesting)\b",
    re.IGNORECASE,
)
OUT_OF_SCOPE = re.compile(
    r"^\W*(?:(?:hi|hey|ok(?:ay)?|so|please|can you|could you)\W+)*"
    r"(?:(?:what|how|who|where)(?:'s| is| are| was| won| will)\s+(?:[\w']+\s+){0,4}"
    r"(?:weather|news|capital|stock price|president|football)\b|"
    r"what (?:time|day) is it|who (?:are|made|built) you|tell me (?:a joke|the (?:news|time|weather))|translate|solve|"
    r"write (?:me )?(?:a|an|some) (?:poem|code|essay|email|story|program|song)|"
    r"(?:calculate|compute|what(?:'s| is))\s+\d+\s*[-+*/x])|"
    r"\b(?:python code|your (?:system )?prompt|ignore (?:all|your|previous) (?:previous )?instructions)\b",
    re.IGNORECASE,
)
THAN = re.compile(
    r"\b(?:a\s+bit\s+|a\s+little\s+|much\s+)?(?P<word>" + ORDERED + r")\s+than\s+(?P<what>(?![$€£]?\d)[^.;!?]+)", re.IGNORECASE
)
MORE_PLEASE = re.compile(
    r"\W*(?:(?:show|give) me (?:some )?more|none of (?:these|those|them)|more(?: please)?|next|others?|something else"
    r"|anything else|what else"
    r"|(?:(?:do you have|have you got|got|are there)\s+)?(?:any|some)?\s*(?:other|more|others)\s*"
    r"(?:ones?|options?|suggestions?|recommendations?|ideas?|tips?|films?|movies?|books?|items?|products?)?"
    r"|what else (?:can you|do you|would you) (?:recommend|suggest|have|know))\W*",
    re.IGNORECASE,
)
ALSO = re.compile(
    r"^\W*(?:and|but|also|plus|preferably|ideally|with|without|make (?:it|that|them)|even|then|ok(?:ay)?[,\s]+but)\b",
    re.IGNORECASE,
)
FOR_GOOD = re.compile(
    r"\b(?:never(?=\s+(?:ever\s+|do\s+|again\s+|really\s+)*(?:watch|show|recommend|suggest|give|see|read|buy|want"
    r"|like|enjoy|any|again)\b)|"
    r"n't ever|ever again|always|in general|from now on|at all times|as a rule)(?:\b|$)",
    re.IGNORECASE,
)
UNDECIDED = re.compile(
    r"\W*(?:(?:i )?(?:don'?t|do not) (?:care|know|mind)|no (?:preference|idea)|(?:any|either|all)(?: of (?:them|these"
    r"|those))?|whatever|anything|surprise me|no|skip|neither|none)\W*",
    re.IGNORECASE,
)
IDIOMS = re.compile(
    r"\b(?:no (?:rush|problem|worries|thanks|thank you|idea|doubt|matter)|not (?:sure|bad|yet|really|at all|only)|why not)\b",
    re.IGNORECASE,
)
EMPTY = frozenset(
    [
        "have",
        "carry",
        "sell",
        "offer",
        "know",
        "got",
        "catalogue",
        "catalog",
        "database",
        "collection",
        "stock",
        "store",
        "total",
        "do",
        "you",
        "your",
        "altogether",
        "called",
        "about",
    ]
)
# Talk that goes on with what was wished, and a request of its own.
REMARK = re.compile(
    r"\b(?:i|i'm|i've|i'd|it|it's|that|that's|they|we|he|she|you|yes|yeah|yep|no|nope|lol|haha|was|were|is|are|did)\b",
    re.IGNORECASE,
)
REQUEST = re.compile(
    r"\b(?:(?:can|could|would) you|do you (?:have|know)|recommend(?! it)|suggest(?! it)|i(?:'m| am) looking"
    r"|looking for|i want(?! to see (?:it|that))|"
    r"i need|show me|give me|find me|something|in the mood|(?:what|how) about|another|instead|i(?:'d| would) (?:like"
    r"|love|prefer))\b",
    re.IGNORECASE,
)
