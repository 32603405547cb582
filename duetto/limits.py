"""Every cap and knob of Duetto in one frozen object; `duetto.settings` fills it from the environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Caps and knobs. Times are seconds, sizes are counts unless the name says otherwise."""

    # what a turn may be
    message_chars: int = 4_000
    top_k: int = 10
    max_top_k: int = 100

    # what a turn may spend on a chat model; `turn_seconds` covers all its calls together
    model_calls: int = 8
    model_tokens: int = 30_000
    output_tokens: int = 1_500
    call_seconds: float = 20.0
    turn_seconds: float = 45.0
    call_retries: int = 1
    reasons_by_model: int = 3

    # what a conversation keeps
    lists_kept: int = 6  # of items shown, that can be pointed at
    lists_told: int = 3  # of them that a chat model is told of
    undo_steps: int = 20

    # what the language voice may write and find
    preferences: int = 5
    queries: int = 6
    history_shown: int = 24
    quota_per_query: int = 20  # candidates each query may bring, however many queries there are
    taste_items: int = 5  # newest items a reason may say an item resembles
    evidence_tried: int = 12  # newest liked items that are tried as evidence of a reason
    candidates_by_taste: int = 80  # for each span of the history

    # the crowd
    candidates: int = 150  # of each of its parts, and of all together
    neighbours: int = 400  # entries a row of a relation keeps
    linear_items: int = 6_000  # a linear autoregression needs a dense items x items matrix

    # the fusion
    fusion: str = "learned"
    fixed_language_weight: float = 0.5
    rrf_constant: int = 60
    attention_heads: int = 4
    attention_temperature: float = 0.1
    leaning: float = 1.0  # deviations of the candidates' scores between the ends of a column that is leaned along
    avoidance: float = 2.0  # deviations lost by an item whose text has what is to be avoided
    own_tastes: float = 2.0  # deviations gained by an item that meets a taste whose weight the person moved from 0 to 1
    fits_from: float = 2.0  # deviations of the best match to a request, below which a second look is taken
    diversity: float = 0.0  # MMR's 1 - lambda: 0 ranks by score alone

    # what `build` learns from
    held_out: int = 4  # newest likes of a person that are predicted, at most a tenth of their history, at least one
    tuning_people: int = 3_000  # whose held-out likes fit the weights, and are kept from the ranker
    tuning_turns: int = 3_000  # of theirs, at most
    tuning_least: int = 100  # people below this: the weights are the defaults, and nothing is learned
    ranker_turns: int = 20_000  # practice turns at most
    ranker_negatives: int = 100  # candidates kept of a practice turn
    ranker_trees: int = 200  # at most; it stops when people it has not seen gain no more
    ranker_patience: int = 60
    ranker_leaves: int = 15
    ranker_rate: float = 0.1
    variety: float = 0.1  # see `fusion.Weights`; kept where it costs little
    variety_cost: float = 0.01  # of NDCG@10, at most, on people the ranker has not seen

    # what the server takes on
    turns_at_once: int = 128  # with a chat model: most of them wait for it
    turns_at_once_plain: int = 3  # of each worker, without one: then a turn computes all the time
    turns_waiting: int = 128  # beyond them a caller is told to come again
    retry_seconds: int = 2  # after which
    alive_seconds: float = 15.0  # between comments of a stream on which nothing happens, which a proxy may take for dead
    served_seconds: float = 60.0  # of a turn, waiting included, until its caller is told that it took too long
    body_bytes: int = 1_000_000
    body_seconds: float = 10.0  # until all of a request is there
    messages_read: int = 200  # of a conversation that a caller sends whole
    drain_seconds: float = 30.0  # that turns get to end when the server is stopped
    grace_seconds: float = 15.0  # that a page may be away, as in a reload, before its turn stops
    follow_seconds: float = 1.0  # between looks for a new version of the index
    requests_a_minute: int = 120  # of a key that says nothing else

    computing_at_once: int = 2  # threads of a process: the two voices of a turn; 1 in a server's workers, which have a core each

    # the database that DUETTO_DATABASE_URL names
    database_connections: int = 8  # of a process
    database_connect_seconds: float = 5.0
    database_checkout_seconds: float = 5.0  # that a turn waits for a connection
    database_seconds: float = 10.0  # of one statement

    # files
    unknown_share: float = 0.20
    file_bytes: int = 8 * 2**30

    # vectors
    hnsw_above: int = 200_000
    hnsw_narrow: float = 0.10  # a filter that keeps less than this share is searched flat
    moments_sample: int = 4_096
    lsa_dimensions: int = 256  # at most, and at most a quarter of the items
    embed_batch: int = 256
    embed_seconds: float = 60.0
    texts_remembered: int = 2_000
