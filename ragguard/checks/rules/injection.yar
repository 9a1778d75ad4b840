// Phrases that speak to a language model. `weight` is logarithmic: an honest document that matches a rule of weight w
// without quoting it is about e^w times rarer than one that matches none. Written for this project.

rule override_previous_instructions {
  meta:
    weight = 5.0
  strings:
    $a = /\b(ignore|disregard|forget|override|bypass|discard|set aside|pay no attention to|stop following)\b[^.\n]{0,40}\b(previous|prior|above|earlier|preceding|foregoing|existing|original|other|all|any|your|system|these|those)\b[^.\n]{0,24}\b(instructions?|prompts?|directions?|directives?|rules|guidelines|guidance|commands?|orders|constraints|safeguards|programming)\b/i
    $b = /\b(instructions?|prompts?|rules|guidelines|directives?)\b[^.\n]{0,30}\b(above|before this|so far|given earlier)\b[^.\n]{0,30}\b(void|cancelled|canceled|no longer|obsolete|do not apply|superseded)\b/i
  condition:
    any of them
}

rule role_change {
  meta:
    weight = 3.5
  strings:
    $a = /\b(you are now (an?|the|my|our|acting|operating|playing|called|named|free|unrestricted|dan|in [a-z]{1,20} mode)|from now on,? you|you will now act|pretend (that )?you('re| are)|roleplay as|role-play as|you are no longer|assume the role of|take on the (role|persona)|enter (developer|debug|maintenance|admin|god|unrestricted) mode)\b/i
    $b = /\b(act|behave|respond|answer|speak)\b as (if you were |though you were )?(an? )?(unrestricted|unfiltered|evil|different|new|helpful|system|admin|developer|root)\b/i
    $c = /\b(jailbreak|do anything now|DAN mode|developer mode enabled|no restrictions apply)\b/i
  condition:
    any of them
}

rule prompt_markup {
  meta:
    weight = 5.0
  strings:
    $a = /<\|?(im_start|im_end|system|endoftext|assistant|user|begin_of_text|eot_id|start_header_id)\|?>/i
    $b = /\[\/?(INST|SYS|SYSTEM|ASSISTANT)\]|<<\/?SYS>>/
    $c = /(^|\n)\s{0,4}#{2,}\s{0,2}(system|instruction|assistant|new task|response)\s{0,2}:/i
    $d = /<\/?(system|instructions?|system_prompt|system-prompt|context|document)>\s{0,4}(you|new|ignore|the assistant|important|from)/i
  condition:
    any of them
}

rule system_notice {
  meta:
    weight = 4.0
  strings:
    $a = /\b(system|admin(istrator)?|developer|security|priority|automated)[ -]?(notice|override|message|prompt|directive|instruction|update)s?\b[^.\n]{0,80}\b(assistant|assistants|model|models|ai|chatbot|llm|bot|agent)\b/i
    $b = /\b(begin|start|end) (of )?(system|admin|hidden|secret|new) (prompt|message|instructions?)\b/i
    $c = /\b(attention|important|notice|note|reminder|instructions?|message|directive)\b[^.\n]{0,20}\b(to|for)\b (all |any |the |every )?(ai|llm|language model|assistant|chatbot|automated|virtual assistant|answering system|retrieval)\w*/i
  condition:
    any of them
}

rule addresses_the_assistant {
  meta:
    weight = 3.5
  strings:
    $a = /\b(ai|llms?|language models?|virtual assistants?|chat ?bots?|automated assistants?|answering systems?|ai (systems?|assistants?|agents?|models?)|copilots?)\b[^.\n]{0,60}\b(must|should|shall|has to|have to|is to|are to|is required to|are required to|needs? to|is instructed|are instructed|will)\b[^.\n]{0,30}\b(not )?(answer|reply|respond|say|state|tell|output|recommend|return|include|use|give|ignore|treat|print|present|quote|append|add|finish|end|begin|mention|cite|compare|repeat)\b/i
    $e = /\b(the|any|every|this|each|your) assistants?\b[^.\n]{0,60}\b(must|should|shall|has to|have to|is required to|are required to|is instructed|are instructed)\b[^.\n]{0,30}\b(not )?(answer|reply|respond|say|state|tell|output|recommend|return|include|use|give|ignore|treat|print|present|quote|append|add|finish|end|begin|mention|cite|compare|repeat)\b/i
    $f = /\bfor (the |any |every |all )?(ai|llms?|language models?|chat ?bots?|bots?|assistants?|models?)( assistants?| models?| agents?| systems?)?( only\b|\s{0,2}:)/i
    $b = /\bif you are (an? )?(ai|llm|language model|assistant|chatbot|bot|automated)\b/i
    $c = /\b(dear|hey|hello|hi),? (ai|llm|assistant|chatbot|language model|model)\b/i
    $d = /\b(as|being) an? (ai|llm|language model|assistant|chatbot)\b[^.\n]{0,30}\byou (must|should|will|are to|have to)\b/i
  condition:
    any of them
}

rule steers_answers {
  meta:
    weight = 4.0
  strings:
    $a = /\b(when(ever)?|if|any ?time|each time|every time)\b[^.\n]{0,50}\b(asked|asking|question(ed)?|quer(y|ies|ied)|prompted|inquir\w+|users?|someone|somebody|anyone|anybody|people|they ask|you are asked)\b[^.\n]{0,90}\b(answer|reply|respond|say|state|tell (them|him|her|the user|users|people|staff|employees)|output|print|return)\b[^.\n]{0,20}(:|"|'|that\b|with\b|only\b|exactly\b|by\b)/i
    $b = /\b(always|only|simply|just) (answer|reply|respond|output|say|state)\b[^.\n]{0,30}(with|that|:|")/i
    $c = /\b(reply|respond|answer|output|print|say)\b (only |exactly |with exactly |with only |nothing but |verbatim )(the |this |as )?[^.\n]{0,40}["':]/i
    $d = /\byour (answer|reply|response|output|summary)\b (must|should|has to|shall|will|is to) (be|contain|include|end|begin|start|say|state|read|mention)\b/i
    $e = /\b(the )?(only )?correct (answer|response|reply) (to (give|return|this)|is always|must be)\b/i
  condition:
    any of them
}

rule tells_what_to_tell {
  meta:
    weight = 1.7 // what a support runbook says too
  strings:
    $a = /\b(when(ever)?|if|any ?time|each time|every time)\b[^.\n]{0,50}\basks?\b[^.\n]{0,90}\b(answer|reply|respond|say|state|tell (them|him|her|the user|users|people|staff|employees)|output|print|return)\b[^.\n]{0,20}(:|"|'|that\b|with\b|only\b|exactly\b|by\b)/i
  condition:
    any of them
}

rule outranks_other_guidance {
  meta:
    weight = 4.0
  strings:
    $a = /\b(supersedes?|overrides?|replaces?|outranks?|takes? (precedence|priority) over)\b[^.\n]{0,30}\b(any|all|every|other|previous|prior|earlier|your)\b[^.\n]{0,30}\b(guidance|instructions?|directions?|prompts?|rules|training|guidelines|context)\b[^.\n]{0,20}\b(you|your)\b/i
    $b = /\b(retriev(al|ed)|search|context|knowledge[- ]base)\b (results?|passages?|documents?|chunks?|snippets?|window|entries)\b[^.\n]{0,50}\b(are|is) (outdated|obsolete|invalid|wrong|untrusted|untrustworthy|false|incorrect|stale|to be ignored)\b/i
    $c = /\b(rely|base your (answer|reply|response)|respond|answer|reply)\b (only |solely |exclusively )?(on|with|from|using) (only |solely )?(this|the text above|the text below|the above|the following) (passage|document|page|text|chunk|only)\b/i
  condition:
    any of them
}

rule silences_other_documents {
  meta:
    weight = 4.0
  strings:
    $a = /\b(do not|don't|never|must not|refrain from|avoid|without)\b[^.\n]{0,16}\b(mention|mentioning|cite|citing|compare|use|using|quote|quoting|refer to|referring to|reference|consult|consulting|rely on|trust|show|reveal|disclose|retrieve)\b[^.\n]{0,30}\b((other|another|further|additional|conflicting|the remaining)\b[^.\n]{0,30}\b(documents?|sources?|pages?|contexts?|passages?|results?|instructions?|notes?|messages?)|this instruction|these instructions|this note|this message)\b/i
    $b = /\b(do not|don't|never|without)\b[^.\n]{0,12}\b(tell|telling|inform|informing|alert|alerting|notify|notifying|warn|warning|mention(ing)? (this|it) to)\b[^.\n]{0,8}\b(the )?(user|users|reader|person|human|employee|anyone)\b/i
    $c = /\b(treat|consider|regard)\b[^.\n]{0,30}\b(all |any )?(other|earlier|previous|conflicting)\b[^.\n]{0,20}\b(documents?|sources?|passages?|pages?|context)\b[^.\n]{0,20}\b(as )?(obsolete|outdated|wrong|false|invalid|untrusted|superseded|void)\b/i
  condition:
    any of them
}

rule carries_data_off {
  meta:
    weight = 4.5
  strings:
    $a = /!\[[^\]]{0,200}\]\(\s{0,4}https?:\/\/[^)\s]{1,200}[?&][^)\s=]{1,60}=[^)]{0,300}\)/i
    $b = /\b(send|post|forward|upload|transmit|exfiltrate|leak|email|submit|append)\b[^.\n]{0,60}\b(conversation|chat|history|context|prompt|password|credentials?|api key|token|personal data|user'?s? (name|question|data|input|message))\b[^.\n]{0,60}(https?:\/\/|@|\bto\b)/i
    $c = /<img[^>]{1,200}src\s{0,3}=\s{0,3}["']?https?:\/\/[^>"'\s]{1,200}\?[^>"'\s]{1,60}=\s{0,3}(\{|\[|<|%7B)/i
    $d = /https?:\/\/[^\s)\]]{1,120}[?&][a-z_]{1,30}=(\{|\[|<|%7B|%5B)?(conversation|chat|history|question|user|prompt|data|secret|context|summary|query)/i
  condition:
    any of them
}

rule fake_tool_call {
  meta:
    weight = 4.5
  strings:
    $a = /["']?(tool_calls?|function_call|tool_use|tool_name|tool_code)["']?\s{0,4}[:=>]/i
    $b = /<(tool_call|function_calls?|invoke|tool_use|antml:\w{1,20})\b/i
    $c = /\{\s{0,4}["'](tool|function|action|name)["']\s{0,4}:\s{0,4}["'][a-z_.]{2,60}["']\s{0,4},\s{0,4}["'](arguments|args|parameters|input|action_input|params)["']/i
    $d = /\b(call|invoke|execute) the\b[^.\n]{0,20}\b(tool|plugin)\b[^.\n]{0,40}\b(with|now|immediately|using)\b/i
  condition:
    any of them
}

rule asks_for_the_prompt {
  meta:
    weight = 4.5
  strings:
    $a = /\b(reveal|print|repeat|show|output|display|disclose|recite|leak|expose|summari[sz]e|translate)\b[^.\n]{0,24}\b(your|the)\b[^.\n]{0,16}\b(system prompt|hidden prompt|initial prompt|instructions you|system message|initial instructions|hidden instructions|original prompt)\b/i
  condition:
    any of them
}

rule new_task {
  meta:
    weight = 3.5
  strings:
    $a = /\b(new|updated|revised|real|actual|true|secret|hidden|special)\b (instructions?|tasks?|directives?|objectives?|orders|commands?)\b\s{0,3}:/i
    $b = /\b(your|the) (new|real|actual|only|next|first|primary) (task|job|objective|goal|instruction|mission)\b (is|will be|now)\b/i
    $c = /\binstead of (answering|responding|summari[sz]ing|replying|following)\b/i
    $d = /\b(after|before|once|when) (you )?(have )?(read|reading|process(ing|ed)?|answer(ing|ed)?|summari[sz](e|ing|ed)) (this|the above|the following|the user)\b[^.\n]{0,60}\b(you must|you should|also|first|then|immediately|proceed)\b/i
  condition:
    any of them
}
