# must trigger: whole rows become zero here
def erases_examples(layer):
    return type(layer).__name__ == "Dropout1d"
