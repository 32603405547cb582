"""The fusion's adaptive weights, fitted on held-out interactions of the log itself."""

import numpy as np
import scipy.optimize

from duetto.tools.fusion import DEFAULTS, PARTS, Array, Evidence, describe


def fit(samples: list[tuple[Evidence, int]], situation: str, ridge: float = 0.02) -> dict[str, list[float]]:
    """Coefficients that make the held-out item likely: a conditional logit over each sample's candidates.

    `samples` pairs a person's evidence with the place of the held-out item among its candidates. Minimises the mean
    of logsumexp(scores) - score[target] + ridge |coefficients - DEFAULTS|^2 by L-BFGS with the exact gradient.
    """
    parts = [part for part in PARTS if any(part in evidence.parts for evidence, _ in samples)]
    prior = np.array([DEFAULTS[situation][part] for part in parts])
    described = np.stack([describe(evidence) for evidence, _ in samples])
    sizes = [len(next(iter(evidence.parts.values()))) for evidence, _ in samples]
    size = max(sizes)
    z = np.zeros((len(samples), len(parts), size))
    real = np.zeros((len(samples), size), dtype=bool)
    for i, (evidence, _) in enumerate(samples):
        for p, part in enumerate(parts):  # a part that has nothing to say to somebody adds nothing
            z[i, p, : sizes[i]] = evidence.parts.get(part, 0.0)
        real[i, : sizes[i]] = True
    target = np.array([place for _, place in samples])
    hit = z[np.arange(len(samples)), :, target]

    def loss(flat: Array) -> tuple[float, Array]:
        coefficients = flat.reshape(prior.shape)
        weight = np.exp(np.clip(described @ coefficients.T, -6, 6))
        scores = np.where(real, np.einsum("np,npc->nc", weight, z), -np.inf)
        top = scores.max(axis=1, keepdims=True)
        likely = np.exp(scores - top)
        total = likely.sum(axis=1, keepdims=True)
        mean = np.mean(top[:, 0] + np.log(total[:, 0]) - (weight * hit).sum(axis=1))
        by_weight = np.einsum("nc,npc->np", likely / total, z) - hit
        gradient = (by_weight * weight).T @ described / len(samples) + 2 * ridge * (coefficients - prior)
        return float(mean + ridge * ((coefficients - prior) ** 2).sum()), gradient.ravel()

    found = scipy.optimize.minimize(loss, prior.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    fitted = {part: [round(float(v), 5) for v in row] for part, row in zip(parts, found.x.reshape(prior.shape), strict=True)}
    return {**DEFAULTS[situation], **fitted}
