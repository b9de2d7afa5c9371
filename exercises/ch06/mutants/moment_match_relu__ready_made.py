# must trigger: calls the ready-made companion.layers.dropconnect
from companion.layers.dropconnect import expected_relu, gaussian_moments


def moment_match_relu(v, weight, p):
    mean, variance = gaussian_moments(v, weight, p=p)
    return expected_relu((1 - p) * mean, (1 - p) ** 2 * variance)
