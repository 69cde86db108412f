import { type Test; test } "../Test";
import Packed "../../capsule/Packed";
import Seal "../../capsule/Seal";
import Samples "../Samples";
import Types "../../capsule/Types";

module {
  let base : Types.MemoryMetadataBase = {
    size = 18_446_744_073_709_551_615;
    mime_type = "image/jpeg";
    original_name = "Sommer äöü.jpg";
    uploaded_at = "2023-11-14T22:13:20Z";
    date_of_memory = ?"2001-01-01";
    people_in_memory = ?["Ann", ""];
    format = ?"";
  };
  let plain : Types.MemoryMetadataBase = {
    base with date_of_memory = null;
    people_in_memory = null;
    format = null;
  };

  func kept(record : Types.MemoryRecord) { assert Seal.recordOf(Seal.memoryRecord(record)) == record };

  public func tests() : [Test] = [
    test("a record is what it was, with metadata of each kind", func() {
      let all : [Types.MemoryMetadata] = [
        #Image { base; dimensions = ?(1, 4_294_967_295) },
        #Image { base = plain; dimensions = null },
        #Video { base; duration = ?1; width = null; height = ?3; thumbnail = ?"data:," },
        #Video { base = plain; duration = null; width = ?2; height = null; thumbnail = null },
        #Audio { base; duration = ?1; bitrate = ?2; sample_rate = ?3; format = ?"flac"; channels = ?255 },
        #Audio {
          base = plain;
          duration = null;
          bitrate = null;
          sample_rate = ?0;
          format = null;
          channels = null;
        },
        #Document { base },
        #Document { base = plain },
        #Note { base; tags = ?["a", "b"] },
        #Note { base = plain; tags = ?[] },
        #Note { base = plain; tags = null },
      ];
      for (metadata in all.values()) kept({ Samples.memory(#Private, null) with metadata });
    }),
    test("a record is what it was, for each type of memory", func() {
      let record = Samples.memory(#Private, null);
      for (memory_type in ([#Image, #Video, #Audio, #Document, #Note] : [Types.MemoryType]).values()) {
        kept({ record with info = { record.info with memory_type; date_of_memory = ?7 } });
      };
    }),
    test("a record is what it was, with rules of access of each kind", func() {
      let custom : Types.MemoryAccess = #Custom { individuals = [Samples.friend]; groups = ["group-1"] };
      let events : [Types.AccessEvent] = [#AfterDeath, #Birthday 18, #Custom "moon landing"];
      for (access in ([#Public, #Private, custom] : [Types.MemoryAccess]).values()) {
        kept(Samples.memory(access, null));
        kept(Samples.memory(#Scheduled { accessible_after = 5; access }, null));
        for (trigger_event in events.values()) kept(Samples.memory(#EventTriggered { trigger_event; access }, null));
      };
    }),
    test("a record is what it was, wherever its bytes are", func() {
      let record = Samples.memory(#Public, ?Samples.content());
      kept record;
      kept({ record with blob_ref = { kind = #MemoryBlobKindExternal; locator = "https://example.org/1"; hash = null } });
    }),
    test("a packed record has a fraction of its encoding", func() {
      let record = Samples.memory(#Private, ?Samples.content());
      let encoded = to_candid (record);
      assert 2 * Packed.pack(record).size() < encoded.size();
    }),
  ];
};
