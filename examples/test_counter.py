def test_a_counter_counts(deploy):
    counter = deploy("counter.wat")
    counter.increment()
    counter.increment()
    assert counter.get() == 2
