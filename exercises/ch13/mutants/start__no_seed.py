# must trigger: depend on what was drawn before


def start(rank, seed, build):
    return build()
