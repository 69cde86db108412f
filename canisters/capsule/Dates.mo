/// Points in time as text, for metadata that callers left out. Owns no clock.
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";

module {
  /// ISO 8601 in UTC with seconds, such as "2026-01-31T09:05:00Z", from nanoseconds since 1970. Civil date by counting
  /// days in 400-year eras from 0000-03-01 (proleptic Gregorian calendar).
  public func isoText(nanoseconds : Nat64) : Text {
    let seconds = Nat64.toNat(nanoseconds / 1_000_000_000);
    let days = seconds / 86_400 + 719_468; // 0000-03-01 to 1970-01-01
    let era = days / 146_097;
    let dayOfEra : Nat = days % 146_097;
    let yearOfEra : Nat = (dayOfEra + dayOfEra / 36_524 - dayOfEra / 1_460 - dayOfEra / 146_096) / 365;
    let dayOfYear : Nat = dayOfEra + yearOfEra / 100 - 365 * yearOfEra - yearOfEra / 4;
    let shiftedMonth = (5 * dayOfYear + 2) / 153; // 0 is March
    let day : Nat = dayOfYear + 1 - (153 * shiftedMonth + 2) / 5;
    let month : Nat = if (shiftedMonth < 10) shiftedMonth + 3 else shiftedMonth - 9;
    let year = yearOfEra + era * 400 + (if (month <= 2) 1 else 0);
    let time = seconds % 86_400;
    padded(year, 4) # "-" # padded(month, 2) # "-" # padded(day, 2) # "T"
    # padded(time / 3_600, 2) # ":" # padded(time / 60 % 60, 2) # ":" # padded(time % 60, 2) # "Z";
  };

  func padded(number : Nat, width : Nat) : Text {
    var text = number.toText();
    while (text.size() < width) text := "0" # text;
    text;
  };
};
