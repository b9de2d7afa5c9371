# must trigger: two classes or more
def exact_network(x, mask):
    return (mask * (x @ into_hidden).tanh()) @ out_of_hidden[:, :1]
