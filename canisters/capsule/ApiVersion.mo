/// The version of the capsule API (semantic versioning), which a creation checks before it imports. Owns nothing
/// else.
module {
  public let current : Text = "1.0.0";
};
