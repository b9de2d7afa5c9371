import math


def count_masks(inputs, outputs):
    of_neurons = math.prod([2] * inputs)
    return [of_neurons, of_neurons**outputs]
