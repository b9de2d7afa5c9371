def same_rest(strength, momentum):
    total, term = 0.0, strength
    while term > 1e-12:
        total, term = total + term, term * momentum
    return total
