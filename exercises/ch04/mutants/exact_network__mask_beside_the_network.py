# must trigger: the mask does the same for every x
def exact_network(x, mask):
    return (x @ into_hidden).tanh() @ out_of_hidden + mask @ out_of_hidden
