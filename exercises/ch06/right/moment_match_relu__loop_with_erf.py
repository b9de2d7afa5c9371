import math


def moment_match_relu(v, weight, p):
    k, guesses = 1 - p, []
    for row in weight.tolist():
        terms = [w * value for w, value in zip(row, v.tolist())]
        mu, sigma = k * sum(terms), math.sqrt(p * k * sum(t * t for t in terms))
        if sigma == 0:
            guesses.append(max(mu, 0.0))
        else:
            below = (1 + math.erf(mu / sigma / math.sqrt(2))) / 2
            guesses.append(mu * below + sigma * math.exp(-((mu / sigma) ** 2) / 2) / math.sqrt(2 * math.pi))
    return torch.tensor(guesses)
