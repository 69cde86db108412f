import { type Test; test } "../Test";
import ApiCompatibility "../../backend/ApiCompatibility";

module {
  public func tests() : [Test] = [
    test("the major version is the first of three numbers", func() {
      assert ApiCompatibility.major("12.3.4") == ?12;
      assert ApiCompatibility.major("0.0.0") == ?0;
    }),
    test("what isn't three numbers has no major version", func() {
      for (text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "v1.2.3", "1..3", " 1.2.3"].values()) {
        assert ApiCompatibility.major(text) == null;
      };
    }),
    test("versions of one major number go together", func() {
      assert ApiCompatibility.compatible("1.0.0", "1.9.2");
      assert not ApiCompatibility.compatible("1.0.0", "2.0.0");
      assert not ApiCompatibility.compatible("1.0.0", "10.0.0");
    }),
    test("what isn't a version goes with nothing, not even itself", func() {
      assert not ApiCompatibility.compatible("latest", "latest");
      assert not ApiCompatibility.compatible("1.0.0", "1.0");
    }),
  ];
};
