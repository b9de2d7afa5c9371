# must trigger: that would be right if all blocks had this rate
def last_rate(costs, saving):
    return saving
