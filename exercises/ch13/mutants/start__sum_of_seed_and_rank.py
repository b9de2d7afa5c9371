# must trigger: must belong to one pair of seed and rank only
import torch


def start(rank, seed, build):
    torch.manual_seed(seed)
    network = build()
    torch.manual_seed(1_000_000 + seed + rank)
    return network
