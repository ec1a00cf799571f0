"""Tests that do all that can happen to a test; test_runner.py runs them."""

import os
import time
import unittest


class Sample(unittest.TestCase):
    def test_a_passes(self):
        pass

    def test_b_fails(self):
        self.fail("on purpose")

    def test_c_is_skipped(self):
        self.skipTest("on purpose")

    def test_d_crashes(self):
        os.abort()

    def test_e_hangs(self):
        while True:
            time.sleep(1)

    def test_f_fails_in_a_subtest(self):
        with self.subTest(number=1):
            self.fail("on purpose")

    @unittest.expectedFailure
    def test_g_fails_as_expected(self):
        self.fail("on purpose")

    @unittest.expectedFailure
    def test_h_passes_unexpectedly(self):
        pass

    def test_i_passes_after_all_that(self):
        pass


class BrokenFixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError("on purpose")

    def test_never_runs(self):
        pass
