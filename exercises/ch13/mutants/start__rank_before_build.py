# must trigger: the ranks begin with different weights
import torch


def start(rank, seed, build):
    torch.manual_seed(64 * seed + rank)
    return build()
