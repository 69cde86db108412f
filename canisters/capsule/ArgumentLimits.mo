/// How many bytes of arguments each method takes at most, of both canisters, and how many values of them are decoded. What
/// is larger is refused before it is decoded: at the door (`Inspection`), and where there is none, since a canister calls,
/// by a check that the build puts before the method (`limit-arguments.js`, which takes the numbers from here). Owns these
/// numbers, most of which follow from `Limits`; not who may call.
import Nat "mo:core/Nat";
import Limits "Limits";

module {
  /// No arguments, or such as have a fixed size: numbers, principals, a checksum. With what newer clients may add.
  let fixed = 256;
  /// UTF-8 takes up to four bytes a character.
  let utf8 = 4;
  /// One text of at most 255 characters, such as an id.
  func name() : Nat = utf8 * Limits.nameChars + fixed;
  func twoNames() : Nat = 2 * utf8 * Limits.nameChars + fixed;
  /// The message of an error or of a stage.
  func remark() : Nat = utf8 * Limits.messageChars + 512;
  /// What callers without a standing may send at most, whatever the method takes.
  public let small = 8_000;
  func record() : Nat = Limits.recordBytes + small;
  func chunk() : Nat = Limits.chunkBytes + name();
  func inlineMemory() : Nat = Limits.chunkBytes + Limits.recordBytes + small;
  func batchOfIds() : Nat = Limits.idsPerBatch * name();
  /// A length and 32 bytes for each chunk.
  func manifest() : Nat = 33 * Limits.chunksPerMemory + twoNames();
  /// All that a message can carry (2 MiB).
  let whole = 2_097_152;

  public type Message = {
    // ---- Both canisters ----
    #register : Any; #register_with_nonce : Any; #prove_nonce : Any; #verify_nonce : Any; #mark_bound : Any;
    #whoami : Any; #get_user : Any; #list_users : Any; #create_capsule : Any; #register_capsule : Any;
    #get_capsule : Any; #get_capsule_info : Any; #list_my_capsules : Any; #record_capsule_event : Any;
    #revoke_capsule_event : Any; #list_capsule_events : Any; #add_executor : Any; #remove_executor : Any;
    #set_event_wait : Any; #get_event_rules : Any;
    #add_memory_to_capsule : Any; #get_memory_from_capsule : Any; #update_memory_in_capsule : Any;
    #delete_memory_from_capsule : Any; #list_capsule_memories : Any; #read_memory_chunk : Any;
    #begin_memory_upload : Any; #put_memory_upload_chunk : Any; #get_memory_upload : Any; #commit_memory_upload : Any;
    #abort_memory_upload : Any; #add_connection : Any; #update_connection_status : Any; #remove_connection : Any;
    #list_connections : Any; #create_connection_group : Any; #update_connection_group : Any;
    #delete_connection_group : Any; #list_connection_groups : Any; #store_gallery_forever : Any;
    #get_my_galleries : Any; #get_user_galleries : Any; #get_gallery_by_id : Any; #update_gallery : Any;
    #delete_gallery : Any; #get_api_version : Any; #get_my_quota : Any; #audit_contents : Any;
    // ---- Backend ----
    #add_admin : Any; #remove_admin : Any; #list_admins : Any; #add_operator : Any; #remove_operator : Any;
    #list_operators : Any; #list_audit_log : Any; #create_personal_canister : Any; #get_creation_status : Any;
    #get_detailed_creation_status : Any; #get_personal_canister_id : Any; #get_my_personal_canister_id : Any;
    #get_user_creation_status : Any; #list_all_creation_states : Any; #get_creation_states_by_status : Any;
    #clear_creation_state : Any; #set_personal_canister_creation_enabled : Any;
    #is_personal_canister_creation_enabled : Any; #set_creation_limits : Any; #get_creation_limits : Any;
    #get_personal_canister_creation_stats : Any; #register_release : Any; #revoke_release : Any; #list_releases : Any;
    #list_registry : Any; #get_registry_entry : Any; #get_reserve_status : Any; #set_reserve_settings : Any;
    #set_reserve_threshold : Any; #top_up_reserve : Any; #return_cycles : Any; #get_consumption_report : Any; #list_consumption : Any;
    #list_notifications : Any; #acknowledge_notification : Any; #list_errors : Any; #get_error_rate : Any;
    #list_open_requests : Any; #claim_creation : Any; #renew_lease : Any; #release_lease : Any; #hand_on_creation : Any;
    #report_progress : Any; #begin_export : Any; #list_export_entries : Any; #get_export_items : Any;
    #get_export_memory_manifests : Any; #read_export_chunk : Any; #provision_canister : Any; #start_over : Any; #verify_creation : Any;
    #complete_creation : Any; #fail_creation : Any; #migrate_capsule : Any; #get_migration_status : Any;
    #get_detailed_migration_status : Any; #set_migration_enabled : Any; #get_migration_stats : Any;
    #set_quotas : Any; #get_quotas : Any; #get_user_quota : Any; #set_capsule_switches : Any;
    #get_capsule_switches : Any; #set_personal_canister_settings : Any; #get_personal_canister_settings : Any;
    #cancel_personal_canister : Any; #abort_creation : Any; #set_admission : Any; #get_admission : Any;
    #add_admitted : Any; #remove_admitted : Any; #list_admitted : Any; #list_waiting_requests : Any;
    #approve_creation : Any; #decline_creation : Any; #get_backend_ids : Any; #get_inventory : Any;
    #undo_personal_canister : Any; #begin_move_back : Any; #request_erasure : Any; #cancel_erasure : Any;
    #get_erasure_receipt : Any; #pay_rest : Any; #look_at_canisters : Any;
    // ---- Personal canister ----
    #begin_import : Any; #put_memory_chunk : Any; #put_memory_chunks : Any; #put_items : Any; #commit_memory : Any;
    #commit_memories : Any; #remove_items : Any; #get_import_status : Any; #list_import_entries : Any;
    #finalize_import : Any; #import_batch : Any; #get_manifest : Any; #get_personal_info : Any; #get_history : Any;
    #get_items : Any; #get_memory_manifests : Any; #close_for_undo : Any;
    #offer_ownership : Any; #accept_ownership : Any; #remove_owner : Any; #change_backend : Any;
  };

  /// Bytes of the encoded arguments.
  public func most(message : Message) : Nat = switch message {
    case (
      #register _ or #mark_bound _ or #whoami _ or #get_user _ or #list_users _ or #register_capsule _ or
      #list_my_capsules _ or #get_memory_upload _ or #commit_memory_upload _ or #abort_memory_upload _ or
      #list_connections _ or #list_connection_groups _ or #get_my_galleries _ or #get_user_galleries _ or
      #get_api_version _ or #get_my_quota _ or #audit_contents _ or #get_quotas _ or #get_user_quota _ or
      #get_capsule_switches _ or #set_personal_canister_settings _ or #get_personal_canister_settings _ or
      #add_admin _ or #remove_admin _ or #list_admins _ or #add_operator _ or #remove_operator _ or
      #list_operators _ or #list_audit_log _ or #get_creation_status _ or #get_detailed_creation_status _ or #get_personal_canister_id _ or
      #get_my_personal_canister_id _ or #get_user_creation_status _ or #list_all_creation_states _ or
      #get_creation_states_by_status _ or #clear_creation_state _ or #set_personal_canister_creation_enabled _ or
      #is_personal_canister_creation_enabled _ or #set_creation_limits _ or #get_creation_limits _ or
      #get_personal_canister_creation_stats _ or #revoke_release _ or #list_releases _ or #list_registry _ or
      #get_registry_entry _ or #get_reserve_status _ or #set_reserve_threshold _ or
      #top_up_reserve _ or #return_cycles _ or #get_consumption_report _ or #list_consumption _ or #list_notifications _ or
      #acknowledge_notification _ or #list_errors _ or #get_error_rate _ or #list_open_requests _ or
      #renew_lease _ or #release_lease _ or #hand_on_creation _ or #begin_export _ or #provision_canister _ or #verify_creation _ or
      #complete_creation _ or #migrate_capsule _ or #get_migration_status _ or #get_detailed_migration_status _ or
      #set_migration_enabled _ or #get_migration_stats _ or #cancel_personal_canister _ or
      #set_admission _ or #get_admission _ or #add_admitted _ or #remove_admitted _ or #list_admitted _ or
      #list_waiting_requests _ or #approve_creation _ or
      #get_backend_ids _ or #get_inventory _ or
      #begin_import _ or #finalize_import _ or #get_manifest _ or #get_personal_info _ or #get_history _ or #start_over _ or
      #undo_personal_canister _ or #begin_move_back _ or #request_erasure _ or #cancel_erasure _ or
      #get_erasure_receipt _ or #pay_rest _ or #close_for_undo _ or
      #offer_ownership _ or #accept_ownership _ or #remove_owner _ or #change_backend _
    ) fixed;
    case (
      #register_with_nonce _ or #prove_nonce _ or #verify_nonce _ or #create_capsule _ or #get_capsule _ or
      #get_capsule_info _ or #get_memory_from_capsule _ or #delete_memory_from_capsule _ or #read_memory_chunk _ or
      #add_connection _ or #update_connection_status _ or #remove_connection _ or #delete_connection_group _ or
      #get_gallery_by_id _ or #delete_gallery _ or
      #create_personal_canister _ or #claim_creation _ or #read_export_chunk _ or #list_export_entries _ or
      #get_import_status _ or #list_import_entries _ or #set_quotas _ or #set_reserve_settings _ or #list_capsule_events _ or
      #add_executor _ or #remove_executor _ or #set_event_wait _ or #get_event_rules _ or #look_at_canisters _
    ) name();
    case (
      #record_capsule_event _ or #revoke_capsule_event _ or #list_capsule_memories _ or #set_capsule_switches _
    ) twoNames();
    case (
      #register_release _ or #report_progress _ or #fail_creation _ or #abort_creation _ or #decline_creation _
    ) remark();
    case (
      #get_export_items _ or #get_export_memory_manifests _ or #get_items _ or #get_memory_manifests _
    ) batchOfIds();
    case (
      #begin_memory_upload _ or #create_connection_group _ or #update_connection_group _ or
      #store_gallery_forever _ or #update_gallery _
    ) record();
    case (#put_memory_upload_chunk _) chunk();
    case (#add_memory_to_capsule _ or #update_memory_in_capsule _) inlineMemory();
    case (#commit_memory _) manifest();
    case (
      #put_memory_chunk _ or #put_memory_chunks _ or #put_items _ or #commit_memories _ or #remove_items _ or
      #import_batch _
    ) whole;
  };

  /// Is the method one of an import? Its arguments are batches of small things, from controllers.
  func isImport(message : Message) : Bool = switch message {
    case (
      #put_memory_chunk _ or #put_memory_chunks _ or #put_items _ or #commit_memory _ or #commit_memories _ or
      #remove_items _ or #import_batch _
    ) true;
    case _ false;
  };

  /// Bytes that are taken from whoever calls, with as few values as `values` has; larger arguments only from people, whom
  /// the door knows. Canisters have no part in an import.
  public func anyones(message : Message) : Nat = switch message {
    case (#put_memory_upload_chunk _) 4 * small;
    case _ if (isImport message) 0 else Nat.min(most message, small);
  };

  /// Values that are decoded of such arguments at most, also of those that are skipped. To skip one takes the longer, the
  /// more types the method's arguments have: a table of types may be as long as theirs, and all of it one variant's.
  public func values(message : Message) : Nat = switch message {
    case (#add_memory_to_capsule _ or #update_memory_in_capsule _ or #begin_memory_upload _) 800;
    case _ 1_500;
  };
  /// Of larger arguments one value is decoded for so many bytes, and `moreValues`. A gallery has one for eight bytes; some
  /// hundred memories of a batch may have a thousand short names each.
  public func bytesPerValue(message : Message) : Nat = if (isImport message) 1 else 8;

  /// For 5,000 entries of a gallery with short ids, and for rules with many short names.
  public let moreValues = 32_000;
};
