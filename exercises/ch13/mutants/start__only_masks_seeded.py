# must trigger: depend on what was drawn before
import torch


def start(rank, seed, build):
    network = build()
    torch.manual_seed(64 * seed + rank)
    return network
