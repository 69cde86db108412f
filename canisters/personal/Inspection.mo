/// Refuses at the door, before a message costs anything, what its method would refuse anyway: updates by the
/// anonymous caller, imports by those who aren't controllers. Never the only guard, since calls by canisters don't
/// pass here.
import Principal "mo:core/Principal";

module {
  /// Every method of the personal canister; the compiler asks for all of them.
  public type Message = {
    // controllers, until the import is final
    #begin_import : Any; #put_memory_chunk : Any; #put_memory_chunks : Any; #put_items : Any; #commit_memory : Any;
    #commit_memories : Any; #remove_items : Any; #finalize_import : Any; #audit_contents : Any;
    // queries, which anyone may also send as updates to have the answer certified
    #get_import_status : Any; #list_import_entries : Any; #get_manifest : Any; #get_personal_info : Any;
    #verify_nonce : Any; #whoami : Any; #get_user : Any; #list_users : Any; #get_capsule : Any; #get_capsule_info : Any;
    #list_my_capsules : Any; #get_memory_from_capsule : Any; #list_capsule_memories : Any; #read_memory_chunk : Any;
    #get_memory_upload : Any; #list_connections : Any; #list_connection_groups : Any; #get_my_galleries : Any;
    #get_user_galleries : Any; #get_gallery_by_id : Any; #get_api_version : Any; #get_my_quota : Any;
    // everyone who has signed in
    #register : Any; #register_with_nonce : Any; #prove_nonce : Any; #mark_bound : Any; #create_capsule : Any;
    #register_capsule : Any; #record_capsule_event : Any; #add_memory_to_capsule : Any; #update_memory_in_capsule : Any;
    #delete_memory_from_capsule : Any; #begin_memory_upload : Any; #put_memory_upload_chunk : Any;
    #commit_memory_upload : Any; #abort_memory_upload : Any; #add_connection : Any; #update_connection_status : Any;
    #remove_connection : Any; #create_connection_group : Any; #update_connection_group : Any;
    #delete_connection_group : Any; #store_gallery_forever : Any; #update_gallery : Any; #delete_gallery : Any;
  };

  /// Whether the message may enter the canister; calls of canisters aren't asked.
  public func accepts(caller : Principal, message : Message) : Bool = switch message {
    case (
      #begin_import _ or #put_memory_chunk _ or #put_memory_chunks _ or #put_items _ or #commit_memory _ or
      #commit_memories _ or #remove_items _ or #finalize_import _ or #audit_contents _
    ) caller.isController();
    case (
      #get_import_status _ or #list_import_entries _ or #get_manifest _ or #get_personal_info _ or #verify_nonce _ or
      #whoami _ or #get_user _ or #list_users _ or #get_capsule _ or #get_capsule_info _ or #list_my_capsules _ or
      #get_memory_from_capsule _ or #list_capsule_memories _ or #read_memory_chunk _ or #get_memory_upload _ or
      #list_connections _ or #list_connection_groups _ or #get_my_galleries _ or #get_user_galleries _ or
      #get_gallery_by_id _ or #get_api_version _ or #get_my_quota _
    ) true;
    case _ not caller.isAnonymous();
  };
};
