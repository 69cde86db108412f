def test_a_counter_counts(deploy):
    counter = deploy("counter.wat")
    counter.increment(1)
    counter.increment(1)
    assert counter.read() == 2
